"""The content filter of a model: a ConfigMap with the file that the image's middleware reads at its start.

Its name holds a digest of its content: the middleware reads the file once, so another rule needs another pod, and a pod
of the former version still finds the former file.
"""

import hashlib
import json
from typing import Any, Final

from components.model_names import predictor_url
from settings.content_filter import RuleFilter, ServerGuard

MOUNT: Final = "/etc/vllm-platform"
"""Below /etc, which the settings refuse as a place of weights."""
FILE: Final = "filter.json"
VOLUME: Final = "content-filter"
_DIGITS: Final = 10


def filter_content(rules: RuleFilter, namespace: str) -> dict[str, Any]:
    """Return the file as the middleware reads it (docker/vllm/vllm_platform_middleware/content_filter.py).

    A guard of this stack is asked at its predictor's own address, by the name that it serves.
    """
    content: dict[str, Any] = {
        "rules": [
            {"name": rule.name, "patterns": list(rule.patterns), "words": list(rule.words)}
            for rule in rules.rules
        ],
        "max_characters": rules.max_characters or 0,
        "max_body_bytes": rules.max_body_bytes,
    }
    guard = rules.guard
    if guard is not None:
        content["guard"] = {
            "url": guard.url if isinstance(guard, ServerGuard) else predictor_url(guard.model, namespace),
            "model": guard.model,
            "budget_ms": guard.budget_ms,
            "fail_open": guard.fail_open,
            "refuse": list(guard.refuse),
        }
    return content


def filter_text(rules: RuleFilter, namespace: str) -> str:
    """Return the file's text, the same for the same rules."""
    return json.dumps(filter_content(rules, namespace), ensure_ascii=False, indent=1, sort_keys=True)


def config_map_name(model: str, text: str) -> str:
    """Name a model's ConfigMap by what is in it."""
    return f"{model}-filter-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"
