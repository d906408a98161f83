"""Two ways to a stack's settings: its file (no Pulumi, no decryption), and the configuration of a program."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from settings import stack_yaml
from settings.checks import check
from settings.draft import Draft
from settings.estimate import budget_problem
from settings.problems import Problem, SettingsError
from settings.sections import TEXT_SECTIONS, read_sections
from settings.stack import Settings

if TYPE_CHECKING:
    import pulumi

PROJECT: Final = "vllm-platform"
_PREFIX: Final = f"{PROJECT}:"


def load_stack_file(path: Path, *, over_budget: bool = False) -> Settings:
    """Read and check `Pulumi.STACK.yaml`, secrets left alone. Raises SettingsError with every problem.

    over_budget: let a stack through that costs more than its budget, to be able to say what it costs.
    """
    stack = stack_name(path)
    return build(stack, _config_of(stack, path), over_budget=over_budget)


def load_stack_text(stack: str, text: str) -> Settings:
    """Read and check what would stand in `Pulumi.STACK.yaml`. Raises SettingsError with every problem."""
    return build(stack, _config_in(stack, text))


def read_draft(path: Path) -> tuple[Draft, list[Problem]]:
    """Read what parses of `Pulumi.STACK.yaml`, and what is wrong with the rest. What was read is not checked.

    Raises SettingsError for a file that can not be read at all.
    """
    return read_sections(_config_of(stack_name(path), path))


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


def load_program_secrets(settings: Settings) -> "dict[str, pulumi.Output[str]]":
    """Return the secrets that the settings refer to, by name. Their values are never text here, but Outputs of it."""
    import pulumi  # noqa: PLC0415 - as above

    config = pulumi.Config(PROJECT)
    return {name: config.require_secret(name) for name in settings.secret_names}


def build(stack: str, config: Mapping[str, object], *, over_budget: bool = False) -> Settings:
    """Make settings from sections by name, without the namespace. Raises SettingsError with every problem."""
    draft, problems = read_sections(config)
    problems = [*problems, *check(draft)]
    if problems:
        raise SettingsError(stack, problems)
    settings = _settled(draft)
    if not over_budget and (problem := budget_problem(settings)):
        raise SettingsError(stack, [problem])
    return settings


def stack_name(path: Path) -> str:
    """Take the stack's name from its file's: `Pulumi.prod.yaml` is `prod`."""
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml")


def _settled(draft: Draft) -> Settings:
    """Turn a draft without problems, and so without gaps, into settings."""
    return Settings.model_construct(
        environment=draft.environment,
        cluster=draft.cluster,
        registry=draft.registry,
        builds=draft.builds,
        namespace=draft.namespace,
        storage=draft.storage,
        edge=draft.edge,
        gateway=draft.gateway,
        state=draft.state,
        secrets=draft.kept,
        audit=draft.audit,
        addons=draft.addons,
        charts=draft.charts,
        observability=draft.observability,
        database=draft.database,
        content_filter=draft.content_filter,
        security=draft.security,
        cost=draft.cost,
        policies=draft.policies,
        promotion=draft.promotion,
        pools=draft.pools,
        models=draft.models,
    )


def _config_of(stack: str, path: Path) -> dict[str, object]:
    """Return the program's own keys of a stack file, without the namespace."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        there = ", ".join(sorted(stack_name(file) for file in path.parent.glob("Pulumi.*.yaml"))) or "none"
        raise _refused(
            stack,
            path.name,
            None,
            "there is no such stack file",
            f"use one of the stacks that exist: {there}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(
            stack, path.name, None, f"can not be read: {error}", "make it a readable text file in UTF-8"
        ) from None
    return _config_in(stack, text)


def _refused(stack: str, where: str, value: object, reason: str, fix: str) -> SettingsError:
    return SettingsError(stack, [Problem(where, value, reason, fix)])


def _config_in(stack: str, text: str) -> dict[str, object]:
    file = f"Pulumi.{stack}.yaml"
    try:
        document = stack_yaml.load(text)
    except stack_yaml.YAML_ERRORS as error:
        raise _refused(
            stack,
            file,
            None,
            f"not valid YAML: {stack_yaml.explain(error)}",
            "correct the YAML at that place",
        ) from None
    if not isinstance(document, dict):
        raise _refused(
            stack, file, document, "must be a mapping with the key `config`", "begin the file with `config:`"
        )
    config = cast("dict[Any, Any]", document).get("config")
    if not isinstance(config, dict):
        raise _refused(
            stack,
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
