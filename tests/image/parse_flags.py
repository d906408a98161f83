"""What vLLM's own parser makes of command lines, without starting an engine. Run with the Python of .venv-engine.

stdin: a JSON list of command lines after `vllm serve`. stdout, last line: `parsed`, per command line either
`error` (the parser's words) or `values`; `options`, every flag there is, whole; `variables`, every
environment variable that vLLM knows.
"""

import contextlib
import importlib
import io
import json
import sys
from typing import Any


class Parser:
    """vLLM's parser with its subcommand `serve`, put together as its command line does."""

    def __init__(self) -> None:
        # Any: where types are checked vLLM is not installed.
        self._all: Any = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
        self._command: Any = importlib.import_module("vllm.entrypoints.cli.serve").ServeSubcommand()
        self._serve: Any = self._command.subparser_init(self._all.add_subparsers(dest="subparser"))

    def parse(self, line: list[str]) -> dict[str, Any]:
        """Return {"values": ...} or {"error": ...}."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                values: Any = self._all.parse_args(["serve", *line])
                self._command.validate(values)
        except SystemExit:
            return {"error": said.getvalue()}
        except (TypeError, ValueError) as error:
            return {"error": str(error)}
        return {"values": vars(values)}

    def options(self) -> list[str]:
        """Return every flag of `serve`. The parser takes any unique beginning of one, too: a misspelt flag may pass."""
        return sorted(self._serve._option_string_actions)


if __name__ == "__main__":
    lines: list[list[str]] = json.load(sys.stdin)
    parser = Parser()
    answer = {
        "parsed": [parser.parse(line) for line in lines],
        "options": parser.options(),
        "variables": list(importlib.import_module("vllm.envs").environment_variables),
    }
    print(json.dumps(answer, default=str))  # noqa: T201 - the answer
