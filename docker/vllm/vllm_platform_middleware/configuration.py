"""What the middleware is told, by the container's environment: read once, at the start, and refused there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@/+-]{0,127}")
_HEADER: Final = re.compile(r"[a-z0-9-]{1,64}")
_PORT_MAX: Final = 65_535


class ConfigurationError(Exception):
    """A variable can not be used. The text names it and says what to write."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """service: name of the InferenceService. model_version: of the image, beside each counter.

    user_header: the header in which the gateway, and nobody else, says who calls; lower case.
    metrics_host, metrics_port: where /metrics is served; port 0 is nowhere.
    filter_file: the rules of the content filter, a JSON file; None is no filter.
    """

    service: str = "vllm"
    model_version: str = "unknown"
    user_header: str = "x-user-id"
    # A pod's network policies say who may come.
    metrics_host: str = "0.0.0.0"  # noqa: S104
    metrics_port: int = 8001
    filter_file: Path | None = None


def read(environment: Mapping[str, str]) -> Configuration:
    """Return the configuration of an environment. Raises ConfigurationError."""
    default = Configuration()
    file = environment.get("VP_FILTER_FILE", "")
    return Configuration(
        service=_name(environment, "VP_SERVICE", default.service),
        model_version=_name(environment, "VP_MODEL_VERSION", default.model_version),
        user_header=_header(environment, "VP_USER_HEADER", default.user_header),
        metrics_host=environment.get("VP_METRICS_HOST", default.metrics_host),
        metrics_port=_port(environment, "VP_METRICS_PORT", default.metrics_port),
        filter_file=Path(file) if file else None,
    )


def _name(environment: Mapping[str, str], key: str, default: str) -> str:
    value = environment.get(key, default)
    if not _NAME.fullmatch(value):
        message = f"{key}: {value!r} is not a name: use at most 128 letters, digits and . _ : @ / + -"
        raise ConfigurationError(message)
    return value


def _header(environment: Mapping[str, str], key: str, default: str) -> str:
    value = environment.get(key, default).lower()
    if not _HEADER.fullmatch(value):
        message = f"{key}: {value!r} is not the name of a header: write for example x-user-id"
        raise ConfigurationError(message)
    return value


def _port(environment: Mapping[str, str], key: str, default: int) -> int:
    value = environment.get(key, str(default))
    if not value.isdecimal() or int(value) > _PORT_MAX:
        message = f"{key}: {value!r} is not a port: write a number up to {_PORT_MAX}, or 0 for none"
        raise ConfigurationError(message)
    return int(value)
