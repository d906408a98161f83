"""Plays `vllm serve`: takes a pod's arguments as they are, wraps the image's real middleware around a small engine, and drains.

Run as a program, in the place of the image's entrypoint.
"""

import argparse
import importlib
import os
from pathlib import Path
from typing import Any, cast

import uvicorn
from vllm_platform_middleware.asgi import App, Receive, Scope, Send

from tests.gateway.engine.server import Options, SmallEngine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--middleware", required=True)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-model-len", type=int, default=8192)
    parser.add_argument("--shutdown-timeout", type=int, default=0)
    # All others are about weights and GPUs.
    return parser.parse_known_args()[0]


class _Wrapped:
    """The engine with its middleware, and the server's application object where vLLM's would be."""

    def __init__(self, engine: SmallEngine, middleware: str) -> None:
        module, _, name = middleware.rpartition(".")
        make: Any = getattr(importlib.import_module(module), name)
        self._app = cast("App", make(engine))
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._engine.app
        await self._app(scope, receive, send)


def main() -> None:
    """Serve until SIGTERM, and then to the end of what runs."""
    arguments = _arguments()
    engine = SmallEngine(
        Options(
            model=arguments.served_model_name,
            max_num_seqs=arguments.max_num_seqs,
            max_model_len=arguments.max_model_len,
            folder=Path("/pod"),
            fingerprint=f"{os.environ['VP_MODEL_VERSION']}/{os.environ['POD_ADDRESS']}",
        )
    )
    uvicorn.run(
        cast("Any", _Wrapped(engine, arguments.middleware)),
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        lifespan="on",
        timeout_graceful_shutdown=arguments.shutdown_timeout or None,
        # As vLLM does, with its default.
        timeout_keep_alive=int(os.environ.get("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "5")),
    )


if __name__ == "__main__":
    main()
