"""How Pulumi starts the pack: `pulumi preview --policy-pack policies`. Its folder is the only one of ours on the path."""

import json
import os
import sys

from rules.catalogue import RULES
from rules.config import ConfigError, config_of
from rules.engine import run

NAME = "vllm-platform"


def main() -> None:
    """Serve the rules until Pulumi ends this process. A mistake in the stack's configuration is one message."""
    try:
        config = config_of(json.loads(os.environ.get("PULUMI_CONFIG", "{}")), RULES)
    except ConfigError as error:
        sys.exit(str(error))
    run(NAME, RULES, config)


main()
