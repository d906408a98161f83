"""Semantic scalar types of a stack file: names, quantities, digests. Each refuses with the fix.

Numbers are strict: YAML's `true` is not 1 and `"3"` is not 3, because Pulumi hands the same file over as
JSON, and both must read the same values.
"""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from settings.base import refusal

# Kubernetes: a label value, a DNS label and so a Service name have at most 63 characters.
DNS_LABEL_MAX: Final = 63
PREDICTOR_SUFFIX: Final = "-predictor"
CANARY_SUFFIX: Final = "-canary"
TEMPLATE_ANNOTATION: Final = "vllm-platform.io/template"
"""Digest of all that makes the pods of a model what they are: on its InferenceService, and from there on its pods."""
FILL_SUFFIX: Final = "-fill"
"""Behind a model's name: the Job that brings its weights, and its service account."""
GATEWAY_ACCOUNT: Final = "api-gateway"
"""Service account of the gateway's proxies."""
# KServe labels every pod `app: isvc.<name>-predictor`, a label value: 63 - len("isvc.") - len("-predictor").
MODEL_NAME_MAX: Final = DNS_LABEL_MAX - len("isvc.") - len(PREDICTOR_SUFFIX)
# A pool's name goes into IAM role and node group names (at most 64) behind the cluster's name.
POOL_NAME_MAX: Final = 30
CLUSTER_NAME_MAX: Final = 30
# CloudNativePG refuses longer ones: it appends to them (its webhook, validateName).
DATABASE_NAME_MAX: Final = 50

EXAMPLE_DIGEST: Final = "sha256:" + "0123456789abcdef" * 4
"""The well-formed digest in the committed staging and prod files: `check` accepts it, `up` must refuse it."""


def _named(what: str, longest: int, *, letter_first: bool) -> Callable[[str], str]:
    pattern = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?" if letter_first else r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
    start = "begin with a letter" if letter_first else "begin with a letter or digit"

    def check(value: str) -> str:
        if len(value) > longest:
            raise refusal(
                f"{what} has {len(value)} characters, at most {longest} are possible",
                f"shorten it to {longest} characters or fewer",
            )
        if not pattern.fullmatch(value):
            raise refusal(
                f"{what} is not a DNS-1123 label",
                f"use lower-case letters, digits and '-', {start}, end with a letter or digit, "
                f"e.g. {_suggest_label(value, longest)!r}",
            )
        return value

    return check


def _suggest_label(value: str, longest: int) -> str:
    """Bend a name into a label, for the message only."""
    label = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    label = label if label[:1].isalpha() else f"m-{label}".strip("-")
    return label[:longest].rstrip("-")


def _matching(pattern: str, reason: str, fix: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise refusal(reason, fix)
        return value

    return check


ModelName = Annotated[str, AfterValidator(_named("the model's name", MODEL_NAME_MAX, letter_first=True))]
PoolName = Annotated[str, AfterValidator(_named("the pool's name", POOL_NAME_MAX, letter_first=False))]
ClusterName = Annotated[
    str, AfterValidator(_named("the cluster's name", CLUSTER_NAME_MAX, letter_first=True))
]
Namespace = Annotated[str, AfterValidator(_named("the namespace", DNS_LABEL_MAX, letter_first=False))]
ClaimName = Annotated[str, AfterValidator(_named("the claim's name", DNS_LABEL_MAX, letter_first=False))]

DatabaseName = Annotated[
    str, AfterValidator(_named("the database's name", DATABASE_NAME_MAX, letter_first=True))
]

TriggerName = Annotated[str, AfterValidator(_named("the window's name", DNS_LABEL_MAX, letter_first=False))]

Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Seconds = Annotated[int, Field(strict=True, ge=0)]
Switch = Annotated[bool, Field(strict=True)]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]

Zone = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            "not the name of an availability zone",
            "write a zone such as 'us-east-1a'",
        )
    ),
]
AccountId = Annotated[
    str,
    AfterValidator(
        _matching(r"\d{12}", "not an AWS account id", 'write the 12 digits in quotes, e.g. "123456789012"')
    ),
]
Digest = Annotated[
    str,
    AfterValidator(
        _matching(
            r"sha256:[0-9a-f]{64}",
            "not an image digest",
            "write 'sha256:' and the 64 lower-case hex digits that the push printed",
        )
    ),
]
Revision = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[0-9a-f]{40}",
            "not a pinned revision: a branch or a short hash can change under the same name",
            "write the full commit hash of the model's repository, 40 lower-case hex digits",
        )
    ),
]
ServiceUrl = Annotated[
    str,
    AfterValidator(
        _matching(
            r"https?://[a-z0-9]([-.a-z0-9]*[a-z0-9])?(:\d{1,5})?(/[-._~/A-Za-z0-9]*[-._~A-Za-z0-9])?",
            "not the address of a service: a scheme, a host, and a port and a path if it has them",
            "write it as http://prometheus.monitoring.svc.cluster.local:9090, without a slash behind it",
        )
    ),
]
ReservationId = Annotated[
    str,
    AfterValidator(
        _matching(
            r"cr-[0-9a-f]{17}",
            "not the id of a capacity reservation",
            "write the id, 'cr-' and 17 hex digits",
        )
    ),
]

_CPU: Final = re.compile(r"(\d+(?:\.\d{1,3})?)|(\d+)m")
_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)")
_UNIT_BYTES: Final = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}
MIB: Final = 2**20


def millicores(quantity: str) -> int:
    """Read a CPU quantity ("4", "0.5", "500m") as thousandths of a core. Raises ValueError."""
    match = _CPU.fullmatch(quantity)
    if match is None:
        message = f"not a CPU quantity: {quantity!r}"
        raise ValueError(message)
    return int(match[2]) if match[2] else round(float(match[1]) * 1000)


def mebibytes(quantity: str) -> int:
    """Read a memory quantity ("16Gi", "29317Mi", "32G") as MiB, rounded down. Raises ValueError."""
    match = _MEMORY.fullmatch(quantity)
    if match is None:
        message = f"not a memory quantity: {quantity!r}"
        raise ValueError(message)
    return int(float(match[1]) * _UNIT_BYTES[match[2]]) // MIB


def _number_as_text(value: object) -> object:
    """Keep one form: Kubernetes takes `cpu: 4` and `cpu: "4"`. A bool, an int in Python, stays refused."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return format(value, "g")
    return value


def _checked(read: Callable[[str], int], what: str, example: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            amount = read(value)
        except ValueError:
            raise refusal(f"not a {what} quantity", f"write it as {example}") from None
        if amount <= 0:
            raise refusal(f"a {what} quantity of nothing", f"ask for more than 0, e.g. {example}")
        return value

    return check


CpuQuantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(_checked(millicores, "CPU", '"4" (cores) or "500m" (thousandths of a core)')),
]
MemoryQuantity = Annotated[
    str, AfterValidator(_checked(mebibytes, "memory", '"16Gi" or "16384Mi", with the unit'))
]
