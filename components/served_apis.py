"""Whether a cluster that exists has what it is said to have: one look, before the engine makes anything.

An add-on of kind `existing` is recognised by the APIs that it serves; a volume needs a storage class. A cluster that the
program creates is not looked at: nothing can be there before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from components.kubernetes_provider import kubeconfig
from settings import ExistingCluster, Problem, RehearsalCluster, Settings, SettingsError
from settings.database import Postgres

TIMEOUT_SECONDS: Final = 10
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


class NotReachedError(Exception):
    """The cluster did not answer. The text says why, without what a kubeconfig holds."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a cluster has. apis: versions by group. classes: storage classes, and whether one is the default."""

    apis: Mapping[str, Sequence[str]]
    classes: Mapping[str, bool]


def refuse_what_is_not_served(settings: Settings, *, stack: str) -> None:
    """Raise SettingsError for what a cluster that exists lacks, all of it at once; one request or two."""
    if not isinstance(settings.cluster, ExistingCluster | RehearsalCluster) or not _asks(settings):
        return
    try:
        served = look(settings)
    except NotReachedError as error:
        fix = "see that `kubectl get nodes` works with this file and context"
        raise SettingsError(stack, [Problem("cluster", None, str(error), fix)]) from None
    problems = [*missing_apis(settings, served), *missing_class(settings, served)]
    if problems:
        raise SettingsError(stack, problems)


def _asks(settings: Settings) -> bool:
    return bool(settings.asked.units("existing")) or _stores(settings)


def _stores(settings: Settings) -> bool:
    managed = settings.asked.units("managed")
    return any(unit.volumes for unit in managed) or isinstance(settings.database, Postgres)


def look(settings: Settings) -> Served:
    """Ask the cluster. Raises NotReachedError."""
    # Its import takes most of a second, and most programs do not need it.
    from kubernetes import client, config  # noqa: PLC0415
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    cluster = settings.cluster
    path = Path(cast("str", kubeconfig(cluster))).expanduser()
    context = cluster.context if isinstance(cluster, ExistingCluster) else None
    options = client.Configuration()
    # Asked once: a user who waits should hear at once that there is no answer.
    options.retries = 0
    try:
        # Half of its functions have types.
        login = cast("Any", config).new_client_from_config(str(path), context, client_configuration=options)
        apis = cast("Any", client.ApisApi(login))
        storage = cast("Any", client.StorageV1Api(login))
        groups = apis.get_api_versions(_request_timeout=TIMEOUT_SECONDS).groups
        classes: list[Any] = []
        if _stores(settings):
            classes = storage.list_storage_class(_request_timeout=TIMEOUT_SECONDS).items
    except (YAMLError, TypeError):
        # The parser's own words would show what the file holds.
        message = f"its kubeconfig {path} can not be read: it is no YAML, or not of a kubeconfig's form"
        raise NotReachedError(message) from None
    except ConfigException as error:
        message = f"its kubeconfig {path} can not be used: {error}"
        raise NotReachedError(message) from None
    except ApiException as error:
        answer = cast("Any", error)
        message = f"its API refused the question: {answer.status} {answer.reason}"
        raise NotReachedError(message) from None
    except (HTTPError, OSError, ValueError) as error:
        message = f"its API does not answer: {error}"
        raise NotReachedError(message) from None
    return Served(
        apis={group.name: [each.version for each in group.versions] for group in groups},
        classes={each.metadata.name: _is_default(each) for each in classes},
    )


def _is_default(storage_class: Any) -> bool:  # noqa: ANN401 - of the client, which has no types
    annotations = cast("Mapping[str, str]", storage_class.metadata.annotations or {})
    return annotations.get(DEFAULT_CLASS) == "true"


def missing_apis(settings: Settings, served: Served) -> list[Problem]:
    """Return the add-ons that should be there and whose APIs are not."""
    problems: list[Problem] = []
    for unit in settings.asked.units("existing"):
        for api in unit.serves:
            group, _, version = api.partition("/")
            found = served.apis.get(group, ())
            if version in found:
                continue
            others = f"of this group it serves {', '.join(found)}" if found else "nothing of this group"
            reason = f"the cluster does not serve {api} ({others})"
            fix = "install it there, or write `managed` and this program does"
            problems.append(Problem(f"addons.{unit.addon}", "existing", reason, fix))
    return problems


def missing_class(settings: Settings, served: Served) -> list[Problem]:
    """Return what is wrong with the storage class of add-ons' volumes."""
    if not _stores(settings):
        return []
    name, classes = settings.storage.volume_class, ", ".join(sorted(served.classes)) or "none"
    fix = f"name one in storage.volume_class; the cluster has: {classes}"
    if name is not None:
        reason = "the cluster has no storage class of this name"
        return [] if name in served.classes else [Problem("storage.volume_class", name, reason, fix)]
    if any(served.classes.values()) or isinstance(settings.cluster, RehearsalCluster):
        return []
    reason = "no storage class of the cluster is the default one, so volumes of add-ons would never come"
    return [Problem("storage.volume_class", None, reason, fix)]
