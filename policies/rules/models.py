"""Models: which weights are served, under which licence, and whether their authors' code runs."""

import re
from collections.abc import Iterator
from typing import Any, Final

from .model import Config, Found, Resource, Stack, about, resource_rule, stack_rule
from .values import UNKNOWN, among, at, text
from .workloads import is_core, is_model, pod_of, pods_of

AREA: Final = "models"
CARD: Final = "vllm-platform.io/card."
REVISION_LABEL: Final = "vllm-platform.io/revision"
TRUST: Final = "--trust-remote-code"
POOLING: Final = ("--runner=pooling", "--task=embed")
LICENCES: Final = ("Apache-2.0", "MIT", "BSD-3-Clause", "Llama 3.1 Community License")
"""What may be served where the stack does not say."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def _cards(stack: Stack) -> dict[str, Resource]:
    """Return the service accounts that models have as their card, by namespace and name."""
    return {f"{each.namespace}/{each.called}": each for each in stack.of("ServiceAccount")}


def _card(model: Resource, cards: dict[str, Resource]) -> Any:  # noqa: ANN401 - annotations, or nothing
    account = at(pod_of(model).spec, "serviceAccountName")
    if account is UNKNOWN:  # made under the model's own name
        account = model.label
    found = cards.get(f"{model.namespace}/{text(account)}")
    if found is None and any(UNKNOWN in (each.called, each.namespace) for each in (*cards.values(), model)):
        return UNKNOWN
    return at(found.props, "metadata", "annotations") if found else None


def _unsaid(card: object, key: str) -> bool:
    return card is not UNKNOWN and at(card, f"{CARD}{key}") is None


@stack_rule(
    "core-models-are-quantized",
    AREA,
    says="A generative model that must always answer serves quantized weights",
    fix="choose quantized weights (AWQ, GPTQ, FP8), or give a reason in `policies.exempt`",
)
def quantized(stack: Stack, _: Config) -> Iterator[Found]:
    """Weights in 16 bits take twice to four times the GPUs for the same answers."""
    cards = _cards(stack)
    for model in stack.models:
        pooling = any(each in POOLING for each in pod_of(model).arguments)
        if not is_core(model) or pooling:
            continue
        card = _card(model, cards)
        if _unsaid(card, "quantization"):
            yield about(model, f"the core model {model.label} does not say how its weights are quantized")
        elif at(card, f"{CARD}quantization") == "none":
            yield about(model, f"the core model {model.label} serves weights that are not quantized")


@resource_rule(
    "weights-are-pinned",
    AREA,
    says="A model's weights are those of one commit",
    fix=f"label it with {REVISION_LABEL}, a commit of 40 hexadecimal digits (`revision` in the settings)",
    types=is_model,
)
def pinned(resource: Resource, _: Config) -> Iterator[str]:
    """Weights at a branch change without a deployment."""
    revision = at(resource.labels, REVISION_LABEL)
    if revision is not UNKNOWN and not _COMMIT.fullmatch(text(revision)):
        yield f"the model {resource.label} names {text(revision) or 'no revision'}"


@stack_rule(
    "licences-are-allowed",
    AREA,
    says="A model's licence is one that the stack allows",
    fix="choose another model, or add its licence to `policies.licences` after reading it",
    options={"licences": {"type": "array", "items": {"type": "string"}}},
)
def licensed(stack: Stack, config: Config) -> Iterator[Found]:
    """Of weights, not of code."""
    cards, allowed = _cards(stack), config.licences or LICENCES
    for model in stack.models:
        card = _card(model, cards)
        licence = at(card, f"{CARD}licence")
        if _unsaid(card, "licence"):
            yield about(model, f"the model {model.label} names no licence of its weights")
        elif licence is not UNKNOWN and not among(licence, allowed):
            yield about(
                model,
                f"the weights of {model.label} are under {text(licence)}, and allowed are {', '.join(allowed)}",
            )


@stack_rule(
    "remote-code-is-justified",
    AREA,
    says="A model that runs its authors' code says why",
    fix=f"remove {TRUST}, or give a reason (`engine.trust_remote_code: {{reason: ...}}`)",
)
def justified(stack: Stack, _: Config) -> Iterator[Found]:
    """The flag lets whoever published the weights run what they like, beside everybody's prompts."""
    cards = _cards(stack)
    for model in stack.models:
        trusts = any(
            each == TRUST or each.startswith(f"{TRUST}=") for pod in pods_of(model) for each in pod.arguments
        )
        reason = at(_card(model, cards), f"{CARD}remote-code")
        if trusts and reason is not UNKNOWN and not text(reason).strip():
            yield about(
                model, f"the model {model.label} runs code of its weights' authors, and nobody says why"
            )


RULES: Final = (quantized, pinned, licensed, justified)
