#!/usr/bin/env python3
"""Helm's post-renderer for charts of definitions: marks them so that they stay when their release goes.

Helm runs it with the rendered manifests on stdin and takes what it prints. With a CustomResourceDefinition every object of
its kind would go, all models with KServe's. A chart that has an option for this mark does not need it.

Uses nothing but Python's own library: it runs by itself, wherever `pulumi` runs.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final

KIND: Final = re.compile(r"""kind: (["']?)CustomResourceDefinition\1( +#.*)?""")
ANNOTATIONS: Final = "  annotations:"
MARK: Final = "    helm.sh/resource-policy: keep"


def marked(lines: Iterable[str]) -> Iterator[str]:
    """Yield the manifests' lines with the mark in each definition. Raises ValueError for one without annotations.

    Line by line, because to read and write 2 MB of YAML takes Python's own parser a minute.
    """
    is_definition = has_mark = False
    for line in lines:
        text = line.rstrip("\n")
        if text == "---":
            _demand(is_definition, has_mark)
            is_definition = has_mark = False
        is_definition = is_definition or KIND.fullmatch(text) is not None
        yield line
        if text == ANNOTATIONS and is_definition and not has_mark:
            has_mark = True
            yield MARK + "\n"
    _demand(is_definition, has_mark)


def _demand(is_definition: bool, has_mark: bool) -> None:  # noqa: FBT001 - two facts of one document
    if is_definition and not has_mark:
        message = "a definition has no annotations, so it can not be marked to stay"
        raise ValueError(message)


if __name__ == "__main__":
    sys.stdout.writelines(marked(sys.stdin))
