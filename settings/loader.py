"""Two ways to a stack's settings: its file (no Pulumi, no decryption), and the configuration of a program."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from settings import stack_yaml
from settings.checks import check
from settings.draft import Draft
from settings.problems import Problem, SettingsError
from settings.sections import TEXT_SECTIONS, read_sections
from settings.stack import Settings

PROJECT: Final = "vllm-platform"
_PREFIX: Final = f"{PROJECT}:"


def load_stack_file(path: Path) -> Settings:
    """Read and check `Pulumi.STACK.yaml`, secrets left alone. Raises SettingsError with every problem."""
    stack = stack_name(path)
    return build(stack, _config_of(stack, path))


def load_program_settings() -> Settings:
    """Read and check the running Pulumi program's configuration. Raises SettingsError with every problem."""
    import pulumi  # noqa: PLC0415 - the one place: everything else that reads settings must start without Pulumi
    from pulumi.runtime import config as running  # noqa: PLC0415

    raw = {**running.get_config_env(), **running.CONFIG.get()}
    secret = set(running.get_config_secret_keys_env())
    own = {key.removeprefix(_PREFIX): value for key, value in raw.items() if key.startswith(_PREFIX)}
    config = pulumi.Config(PROJECT)
    values: dict[str, object] = {}
    for key in own:
        if _PREFIX + key in secret or running.is_config_secret(_PREFIX + key):
            values[key] = {"secure": "..."}
        else:
            values[key] = _decoded(key, config.get(key))
    return build(pulumi.get_stack(), values)


def build(stack: str, config: Mapping[str, object]) -> Settings:
    """Make settings from sections by name, without the namespace. Raises SettingsError with every problem."""
    draft, problems = read_sections(config)
    problems = [*problems, *check(draft)]
    if problems:
        raise SettingsError(stack, problems)
    return _settled(draft)


def stack_name(path: Path) -> str:
    """Take the stack's name from its file's: `Pulumi.prod.yaml` is `prod`."""
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml")


def _settled(draft: Draft) -> Settings:
    """Turn a draft without problems, and so without gaps, into settings."""
    return Settings.model_construct(
        environment=draft.environment,
        cluster=draft.cluster,
        registry=draft.registry,
        namespace=draft.namespace,
        storage=draft.storage,
        edge=draft.edge,
        state=draft.state,
        addons=draft.addons,
        charts=draft.charts,
        observability=draft.observability,
        database=draft.database,
        pools=draft.pools,
        models=draft.models,
    )


def _config_of(stack: str, path: Path) -> dict[str, object]:
    """Return the program's own keys of a stack file, without the namespace."""

    def refuse(where: str, value: object, reason: str, fix: str) -> SettingsError:
        return SettingsError(stack, [Problem(where, value, reason, fix)])

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = ", ".join(sorted(stack_name(file) for file in path.parent.glob("Pulumi.*.yaml"))) or "none"
        raise refuse(
            path.name, None, "there is no such stack file", f"use one of the stacks that exist: {there}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(
            path.name, None, f"can not be read: {error}", "make it a readable text file in UTF-8"
        ) from None
    try:
        document = stack_yaml.load(text)
    except stack_yaml.YAML_ERRORS as error:
        raise refuse(
            path.name, None, f"not valid YAML: {stack_yaml.explain(error)}", "correct the YAML at that place"
        ) from None
    if not isinstance(document, dict):
        raise refuse(
            path.name, document, "must be a mapping with the key `config`", "begin the file with `config:`"
        )
    config = cast("dict[Any, Any]", document).get("config")
    if not isinstance(config, dict):
        raise refuse(
            "config",
            config,
            "must be a mapping of configuration keys",
            f"write `config:` and below it keys such as `{_PREFIX}pools:`",
        )
    return {
        str(key).removeprefix(_PREFIX): value
        for key, value in cast("dict[Any, Any]", config).items()
        if str(key).startswith(_PREFIX)
    }


def _decoded(key: str, text: str | None) -> object:
    """Read a program's configuration value: text as it is, a section as the JSON that Pulumi made of it."""
    if text is None or key in TEXT_SECTIONS:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
