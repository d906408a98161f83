"""A thin client of AWS: one method, three ways in which an answer can fail to come.

Credentials, and an address other than Amazon's own (AWS_ENDPOINT_URL), are found by boto3 as ever. Every answer is
kept: checks ask the same question without a thought.
"""

import json
from collections.abc import Callable
from typing import Any, Final, cast

import boto3  # pyright: ignore[reportMissingTypeStubs] - it has none, and so for botocore
from botocore import exceptions  # pyright: ignore[reportMissingTypeStubs]
from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
from botocore.parsers import ResponseParserError  # pyright: ignore[reportMissingTypeStubs]

from ops.preflight_checks.calls import Call
from rehearsal.errors import UserError

# The command waits for a person: a service that does not answer must not hold up the others for minutes.
CONFIG: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
DENIED: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "Forbidden",
        "UnauthorizedOperation",
    }
)
BAD_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
# What boto3 raises before it asks anybody: nothing configured, a profile that is not there, a login that ran out.
NO_CREDENTIALS: Final = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.SSOError,
    exceptions.ProfileNotFound,
    exceptions.ConfigParseError,
    exceptions.InvalidConfigError,
)
CREDENTIALS_FIX: Final = (
    "give boto3 credentials of the stack's account, e.g. `aws sso login` and AWS_PROFILE, "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_SERVER_ERROR: Final = 500
_SHOWN: Final = 160

ClientFactory = Callable[[str, str], Any]


class NoAnswerError(Exception):
    """AWS did not say. found: what happened instead. fix: what would make it answer."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.found = found
        self.fix = fix


class DeniedError(NoAnswerError):
    """The caller may not ask this."""


class RefusedError(NoAnswerError):
    """AWS understood and said no. code: its error code; a check knows what it means."""

    def __init__(self, code: str, found: str, fix: str) -> None:
        super().__init__(found, fix)
        self.code = code


class Aws:
    """Asks AWS. `region` is the stack's; a call may name another."""

    def __init__(self, region: str, clients: ClientFactory | None = None) -> None:
        """Take another way to make a client, of a service in a region, for tests."""
        self._region = region
        self._make = clients or _own_session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._answers: dict[str, dict[str, Any]] = {}

    def ask(self, call: Call, *, region: str | None = None, **parameters: object) -> dict[str, Any]:
        """Return an answer.

        Raises DeniedError, RefusedError with AWS's error code, NoAnswerError for all else, and UserError where
        the credentials are no good, for then nothing else would be answered either.
        """
        where = region or self._region
        key = json.dumps([call.service, call.operation, where, parameters], sort_keys=True, default=str)
        if key not in self._answers:
            self._answers[key] = self._asked(call, where, parameters)
        return self._answers[key]

    def _asked(self, call: Call, region: str, parameters: dict[str, object]) -> dict[str, Any]:
        try:
            client = self._clients.get((call.service, region)) or self._make(call.service, region)
            self._clients[call.service, region] = client
            if call.paged is None:
                return getattr(client, call.operation)(**parameters)
            pages = client.get_paginator(call.operation).paginate(**parameters)
            return {call.paged: [item for page in pages for item in page.get(call.paged, [])]}
        except exceptions.ClientError as error:
            raise _translated(call, error) from None
        except NO_CREDENTIALS as error:
            raise UserError(f"no AWS credentials that can be used: {error}\nfix: {CREDENTIALS_FIX}") from None
        # An answer that is not AWS's, of a proxy for example, is no error of botocore's own family.
        except (exceptions.BotoCoreError, ResponseParserError) as error:
            raise NoAnswerError(
                f"no answer to {call.action}: {_short(str(error))}",
                "look at the network, a proxy and AWS_ENDPOINT_URL, and ask again",
            ) from None


def _own_session() -> ClientFactory:
    """Make clients of one session of boto3's, so that credentials are looked up once, when the first is made."""
    session: list[Any] = []

    def client(service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients out of data files
        if not session:
            session.append(boto3.Session())
        return session[0].client(service, region_name=region, config=CONFIG)

    return client


def _translated(call: Call, error: exceptions.ClientError) -> Exception:
    """Sort what AWS answered."""
    answered = cast("dict[str, Any]", error.response)  # pyright: ignore[reportUnknownMemberType] - botocore has no types
    said: dict[str, Any] = answered.get("Error", {})
    code, message = str(said.get("Code", "")), _short(str(said.get("Message", "")))
    status: int = answered.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in BAD_CREDENTIALS:
        return UserError(
            f"AWS refuses the credentials: {code}: {message}\n"
            f"fix: {CREDENTIALS_FIX}; where they are good, the region may not be enabled for the account"
        )
    if code in DENIED:
        return DeniedError(f"not allowed to ask: {call.action}", f"allow {call.action} to the caller")
    if status >= _SERVER_ERROR or not code:
        return NoAnswerError(f"no answer to {call.action}: {code} {message}".rstrip(), "ask again later")
    return RefusedError(code, f"{call.action} was refused: {code}: {message}", "ask again later")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
