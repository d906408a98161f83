"""A provider that takes whatever it is asked for and makes nothing: for types whose own provider needs a cloud.

The engine finds it as any other: a program on PATH that is named after the package, and prints its port.
"""

import sys
from concurrent import futures
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

# Of the generated protocol nothing is typed.
# pyright: reportUnknownMemberType=false, reportAttributeAccessIssue=false, reportUnknownVariableType=false
THREADS: Final = 8
VERSION: Final = "1.0.0"


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """Whatever is asked for is right, and is there as it was asked for."""

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802 - the protocol's
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.DiffResponse()

    def Check(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Leave it to the engine to compare what was and what is asked for."""
        return provider_pb2.DiffResponse()

    def Create(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.CreateResponse(id=request.urn.rpartition("::")[2], properties=request.properties)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return provider_pb2.UpdateResponse(properties=request.news)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        return empty_pb2.Empty()


def install(package: str, folder: Path) -> None:
    """Put the provider of a package into a folder that will be on PATH."""
    program = folder / f"pulumi-resource-{package}"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)


def main() -> None:
    """Serve until the engine ends this process."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandIn(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
