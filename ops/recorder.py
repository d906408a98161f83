"""A stand-in for Pulumi's engine that writes down what a program asks for and deploys nothing.

Unlike Pulumi's own mock monitor it keeps parents, providers and dependencies, gives every resource the URN
that the engine would give it, and notices two resources with one URN.
"""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.mocks import (
    MockCallArgs,
    MockEngine,
    MockMonitor,
    MockResourceArgs,
    Mocks,
    MockSettings,
)
from pulumi.runtime.proto import callback_pb2, engine_pb2
from pulumi.runtime.settings import SETTINGS, configure

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_PREFIX: Final = "pulumi:providers:"
HIDDEN: Final = "[secret]"
UNKNOWN: Final = "[known after deployment]"

# What a program may ask of a provider, with the fields that it reads: what they are only the cloud, or the registry, knows.
LOOKUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": ("id",),
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": ("userName", "password"),
    "aws:ecr/getImage:getImage": ("imageDigest",),
    "docker:index/getRegistryImage:getRegistryImage": ("sha256Digest",),
}

# Signatures of Pulumi's wire format (sdk/python/lib/pulumi/runtime/rpc.py).
_SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the wire format
_UNKNOWN_VALUE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One request to register a resource.

    `inputs` are as the provider would get them (camelCase), with secrets hidden and unknown values marked.
    `parent` and `provider` are URNs or empty; `timeouts` are by operation, as written.
    """

    urn: str
    name: str
    type: str
    parent: str
    provider: str
    providers: Mapping[str, str]
    dependencies: tuple[str, ...]
    custom: bool
    timeouts: Mapping[str, str]
    inputs: Mapping[str, Any]


class _Echo(Mocks):
    """Answers a registration with its own inputs, as a provider does in a preview."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        # A provider is referred to by URN and id, so it must have one; other ids only a deployment can tell.
        identity = args.name if args.typ.startswith(PROVIDER_PREFIX) else ""
        return identity, cast("Any", args).inputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token not in LOOKUPS:
            message = f"the program calls {args.token}, which has no answer without a cluster or a cloud"
            raise NotImplementedError(message)
        # As text: Pulumi has no way to say that the answer to a call is unknown.
        return dict.fromkeys(LOOKUPS[args.token], UNKNOWN), []


class LogRecorder(MockEngine):
    """Keeps the warnings and the errors that a program logs."""

    def __init__(self) -> None:
        super().__init__(None)
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def Log(self, request: Any) -> None:  # noqa: ANN401, N802 - the name and types of Pulumi's engine
        """Keep the message if it is a warning or an error."""
        if request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)
        elif request.severity == engine_pb2.ERROR:
            self.errors.append(request.message)


class Recorder(MockMonitor):
    """Records registrations, the outputs that components registered, and duplicates."""

    def __init__(self, *, project: str, stack: str) -> None:
        super().__init__(_Echo())
        self.log = LogRecorder()
        self._prefix = f"urn:pulumi:{stack}::{project}"
        self.registrations: list[Registration] = []
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()  # requests arrive from the threads of an executor

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Make the engine's URN, with the types of all ancestors but the stack. Pulumi's mock keeps one."""
        ancestors = parent.split("::")[2] if parent else STACK_TYPE
        qualified = type_ if ancestors == STACK_TYPE else f"{ancestors}${type_}"
        return f"{self._prefix}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - the name and types of Pulumi's monitor
        """Record the request and answer it."""
        registration = Registration(
            urn=self.make_urn(request.parent, request.type, request.name),
            name=request.name,
            type=request.type,
            parent=request.parent,
            provider=_provider_urn(request.provider),
            providers={
                package: _provider_urn(reference) for package, reference in sorted(request.providers.items())
            },
            dependencies=tuple(sorted(request.dependencies)),
            custom=request.custom,
            timeouts={field.name: value for field, value in request.customTimeouts.ListFields()},
            inputs=readable(json_format.MessageToDict(request.object)),
        )
        with self._lock:
            self.registrations.append(registration)
        with _event_loop_of_this_thread():
            return super().RegisterResource(request)  # pyright: ignore[reportUnknownMemberType] - untyped there

    def Invoke(self, request: Any) -> Any:  # noqa: ANN401, N802 - as above
        """Answer one of LOOKUPS, refuse all others: what they would return is not in the settings."""
        with _event_loop_of_this_thread():
            return super().Invoke(request)  # pyright: ignore[reportUnknownMemberType] - untyped there

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 - as above
        """Record what a component, or the stack, gives out."""
        with self._lock:
            self.outputs[request.urn] = readable(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()

    def duplicates(self) -> list[str]:
        """Return URNs that were registered more than once: the engine would refuse the program."""
        urns = [registration.urn for registration in self.registrations if registration.type != STACK_TYPE]
        return sorted({urn for urn in urns if urns.count(urn) > 1})

    def of_type(self, type_: str) -> list[Registration]:
        """Return the registrations of a type, by URN."""
        return sorted((r for r in self.registrations if r.type == type_), key=lambda r: r.urn)

    def one(self, type_: str) -> Registration:
        """Return the only registration of a type. Raises LookupError."""
        found = self.of_type(type_)
        if len(found) != 1:
            message = f"{len(found)} resources of type {type_}, not 1"
            raise LookupError(message)
        return found[0]


class _NoCallbacks:
    """Stands where the engine would call the program back, for `transforms`. Nothing here calls: what they change is not seen."""

    def register_transform(self, _: object) -> callback_pb2.Callback:
        """Take one."""
        return callback_pb2.Callback()


@contextmanager
def _event_loop_of_this_thread() -> Generator[None]:
    """Lend the thread an event loop. Pulumi's mock would make one for it and never close it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def record(program: Callable[[], object], *, project: str, stack: str) -> Recorder:
    """Run a program to its end, as a preview, and return the record. What the program raises is raised here.

    A program that logs an error and ends itself raises RunError with that error.
    In a context and an event loop of its own, so that nothing of one program reaches the next.
    """
    recorder = Recorder(project=project, stack=stack)

    def run() -> None:
        configure(
            MockSettings(
                monitor=recorder,
                engine=recorder.log,
                project=project,
                stack=stack,
                dry_run=True,
                organization=None,
                callbacks=_NoCallbacks(),
                # Of this program alone: by default those of the last one, which may have failed, would be among them.
                outputs=deque(),
            )
        )
        asyncio.run(_run(program))

    try:
        contextvars.copy_context().run(run)
    except SystemExit:
        raise pulumi.RunError("\n".join(recorder.log.errors) or "the program ended itself") from None
    return recorder


async def _run(program: Callable[[], object]) -> None:
    """Run a program as Pulumi does. Of several things that fail one is raised; asyncio would log the others, whenever they are freed."""
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    await pulumi.runtime.run_in_stack(lambda: _to_its_end(program))


def _to_its_end(program: Callable[[], object]) -> Awaitable[None]:
    """Call the program. What it returns is dropped: Pulumi would take it for the stack's outputs."""
    program()
    return _settled()


async def _settled() -> None:
    """Wait for what is under way, all of it at once, until there is no more. Raises what one of it failed with.

    Pulumi itself waits for the first of all outputs, again and again: half of a large program's time.
    """
    settings = cast("Any", SETTINGS)  # its types name no type of what is waited for
    while pending := [output for output in settings.outputs if not output.done()]:
        done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        for output in done:
            await output


def readable(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value of the wire: secrets hidden, unknown values marked, whole numbers as integers."""
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if mapping.get(_SIGNATURE_KEY) == _SECRET_SIGNATURE:
            return HIDDEN
        return {key: readable(mapping[key]) for key in sorted(mapping)}
    if isinstance(value, list):
        return [readable(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return UNKNOWN if value == _UNKNOWN_VALUE else value


def _provider_urn(reference: str) -> str:
    """Take the URN from a provider reference, `URN::ID`."""
    return reference.rpartition("::")[0]
