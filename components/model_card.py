"""What a model is: of which weights, from where, under which licence. For people and audits; nothing acts on it.

It stands on the model's service account. KServe copies annotations of an InferenceService to its pods, where a new value
would restart every replica.
"""

from typing import Final

from settings.models import Model
from settings.sources import BucketSource
from settings.weights import StreamedWeights

PREFIX: Final = "vllm-platform.io/card."


def model_card(model: Model) -> dict[str, str]:
    """Return the card, all of it text."""
    facts = model.facts
    return {
        "model": model.model,
        "source": _source(model),
        "revision": model.revision,
        "licence": facts.licence,
        "quantization": facts.quantization,
        "parameters": str(facts.parameters),
    }


def card_annotations(model: Model) -> dict[str, str]:
    """Return the card as annotations, with the reason why code of the weights' authors runs, where it does."""
    trust = model.engine.trust_remote_code
    reason = {} if trust is None else {"remote-code": trust.reason}
    return {f"{PREFIX}{key}": value for key, value in {**model_card(model), **reason}.items()}


def _source(model: Model) -> str:
    if isinstance(model.weights, StreamedWeights):
        return model.weights.uri
    return model.source.uri if isinstance(model.source, BucketSource) else model.source.kind
