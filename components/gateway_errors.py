"""What the gateway answers by itself, in the form that OpenAI's clients read.

Envoy writes each such answer, with a route or without one; a patch gives it the form. Envoy Gateway's own field for this
(`responseOverride`) makes a new answer on the way out, and all headers of the first are gone with it: of a limit that is used up,
when to try again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

CONNECTION_MANAGER: Final = "..[?(@.name == 'envoy.filters.network.http_connection_manager')].typed_config"
LISTENER_TYPE: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
_RESET: Final = "%RESP(X-RATELIMIT-RESET)%"
"""Seconds until the minute of a limit ends, by Envoy's own header."""


@dataclass(frozen=True, kw_only=True)
class GatewayError:
    """One answer. retry_after: seconds, or what Envoy makes of a format."""

    kind: str
    code: str
    message: str
    retry_after: str = ""


ERRORS: Final[Mapping[int, GatewayError]] = {
    400: GatewayError(
        kind="invalid_request_error", code="bad_request", message="The gateway could not read the request."
    ),
    401: GatewayError(
        kind="invalid_request_error",
        code="invalid_token",
        message="A valid token is needed in the header Authorization.",
    ),
    403: GatewayError(
        kind="invalid_request_error", code="forbidden", message="This token may not call this model."
    ),
    404: GatewayError(
        kind="invalid_request_error", code="not_found", message="There is no such model or no such path."
    ),
    408: GatewayError(
        kind="timeout_error", code="request_timeout", message="The request took too long to arrive."
    ),
    413: GatewayError(
        kind="invalid_request_error", code="request_too_large", message="The request is too large."
    ),
    429: GatewayError(
        kind="rate_limit_error",
        code="rate_limit_exceeded",
        message="Too many requests in this minute: try again later.",
        retry_after=_RESET,
    ),
    500: GatewayError(
        kind="server_error", code="gateway_error", message="The gateway could not handle the request."
    ),
    503: GatewayError(
        kind="server_error",
        code="overloaded",
        message="No replica of this model can answer now: try again later.",
        retry_after="5",
    ),
    504: GatewayError(kind="timeout_error", code="timeout", message="The model did not answer in time."),
}
"""By status. An engine's own errors say more, and stay as they are."""


def error_body(error: GatewayError) -> dict[str, Any]:
    """Return the body of an answer."""
    return {"error": {"message": error.message, "type": error.kind, "param": None, "code": error.code}}


def errors_patch(listener: pulumi.Input[str]) -> dict[str, Any]:
    """Return the patch of a listener, by Envoy's name of it."""
    mappers = [_mapper(status, error) for status, error in ERRORS.items()]
    operation = {
        "op": "add",
        "jsonPath": CONNECTION_MANAGER,
        "path": "local_reply_config",
        "value": {"mappers": mappers},
    }
    return {
        "type": "JSONPatch",
        "jsonPatches": [{"type": LISTENER_TYPE, "name": listener, "operation": operation}],
    }


def _mapper(status: int, error: GatewayError) -> dict[str, Any]:
    compared = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"gateway_errors.{status}"}}
    mapper: dict[str, Any] = {
        "filter": {"status_code_filter": {"comparison": compared}},
        "body_format_override": {
            # Not as JSON of Envoy's own, which leaves `null` out.
            "text_format_source": {"inline_string": json.dumps(error_body(error))},
            "content_type": "application/json",
        },
    }
    if error.retry_after:
        header = {"key": "retry-after", "value": error.retry_after}
        mapper["headers_to_add"] = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return mapper
