"""Rewrites the generated parts of the documentation, or says which ones are not as they should be."""

import sys
from pathlib import Path

from docs.generator.documents import documents, generated

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Return the exit status: with `--check` 1 when a document differs, else 0."""
    status = 0
    for path in documents(ROOT):
        old = path.read_text(encoding="utf-8")
        new = generated(path, ROOT)
        if new == old:
            continue
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} differs: run `python -m docs.generator`", file=sys.stderr)  # noqa: T201
            status = 1
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} was rewritten")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
