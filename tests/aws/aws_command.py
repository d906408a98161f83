"""What the `aws` command does, played by boto3: enough of it to run the commands that the documents show.

`python -m tests.aws.aws_command SERVICE OPERATION --option value ...`; the server's address comes from AWS_ENDPOINT_URL.
An operation or an option that the API does not have ends it with an error, as it would end the real command.
"""

import json
import sys
from typing import Any

import boto3  # pyright: ignore[reportMissingTypeStubs]
import jmespath  # pyright: ignore[reportMissingTypeStubs]
from botocore import (  # pyright: ignore[reportMissingTypeStubs]
    xform_name,  # pyright: ignore[reportUnknownVariableType]
)

SERVICES = {"s3api": "s3"}
OWN_OPTIONS = {"region", "query", "output"}


def options_of(words: list[str]) -> dict[str, str]:
    """Read `--name value` pairs."""
    options: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if not name.startswith("--") or name[2:] in options:
            message = f"not an option, or given twice: {name}"
            raise ValueError(message)
        options[name[2:]] = value
    return options


def parameter(shape: Any, text: str) -> Any:  # noqa: ANN401 - shapes are data
    """Read an option's value: JSON, the command's own short form `Key=value,Key=value`, or plain text."""
    if shape.type_name in {"structure", "list"}:
        if text.startswith(("{", "[")):
            return json.loads(text)
        pairs = dict(pair.split("=", maxsplit=1) for pair in text.split(","))
        members = (shape if shape.type_name == "structure" else shape.member).members
        read = {key: parameter(members[key], value) for key, value in pairs.items()}
        return read if shape.type_name == "structure" else [read]
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    return int(text) if shape.type_name in {"integer", "long"} else text


def main(words: list[str]) -> None:
    """Run one command."""
    service, operation, *rest = words
    options = options_of(rest)
    session: Any = boto3.Session()
    client = session.client(SERVICES.get(service, service), region_name=options.get("region"))
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    shape = client.meta.service_model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    parameters = {
        members[option]: parameter(shape.members[members[option]], value)
        for option, value in options.items()
        if option not in OWN_OPTIONS
    }
    answer = getattr(client, xform_name(names[operation]))(**parameters)
    answer.pop("ResponseMetadata", None)
    found: Any = jmespath.search(options["query"], answer) if "query" in options else answer  # pyright: ignore[reportUnknownMemberType]
    if found:
        sys.stdout.write(f"{found if options.get('output') == 'text' else json.dumps(found, default=str)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
