"""Last look before the engine starts: settings that are right and still can not be deployed."""

import pulumi

from components.state_backend import PulumiRun, StateComparison, compare_state
from components.unit_charts import CHART_OF
from settings import Problem, Settings, SettingsError
from settings.checks.naming import at
from settings.cluster import RehearsalCluster

NOTHING_TO_COMPARE = StateComparison(problems=(), warnings=())


def refuse_what_can_not_run(
    settings: Settings, *, stack: str, preview: bool, run: PulumiRun | None = None
) -> None:
    """Raise SettingsError for what can not run; a preview only warns of what up alone refuses.

    run: where the engine's own settings are read. None leaves its state unasked.
    """
    state = state_elsewhere(settings, stack, run)
    later = [*placeholder_images(settings), *other_charts(settings)]
    refused = [*state.problems, *([] if preview else later)]
    if refused:
        raise SettingsError(stack, refused)
    for warning in state.warnings:
        pulumi.log.warn(warning)
    for problem in later:
        pulumi.log.warn(f"`pulumi up` will refuse {problem}")


def state_elsewhere(settings: Settings, stack: str, run: PulumiRun | None) -> StateComparison:
    """Compare the run's state with the stack's. A rehearsal keeps its own below .rehearsal/, on purpose."""
    if run is None or settings.state is None or isinstance(settings.cluster, RehearsalCluster):
        return NOTHING_TO_COMPARE
    return compare_state(settings.state, stack, run)


def placeholder_images(settings: Settings) -> list[Problem]:
    """Return the images that exist nowhere. A rehearsal pulls no image, so it takes them."""
    if isinstance(settings.cluster, RehearsalCluster):
        return []
    reason = "the digest is the example of the committed file: no registry holds such an image"
    fix = "write the digest that the push of the image printed"
    images = {at(model, "image"): model.image for model in settings.deployed_models}
    if settings.fetch:
        images["storage.fetch.image"] = settings.fetch.image
    return [
        Problem(f"{place}.digest", image.digest, reason, fix)
        for place, image in images.items()
        if image.is_example
    ]


def other_charts(settings: Settings) -> list[Problem]:
    """Return the charts that this program would install in another version than the one that was promoted to the stack."""
    promotion = settings.promotion
    if promotion is None:
        return []
    pins = promotion.pins
    fix = (
        f"`vp promote {promotion.source} STACK` when {promotion.source} has run it; "
        "or deploy the commit that the stack's release notes name"
    )
    return [
        Problem(
            f"promotion.charts[{unit.name}].version",
            pins[unit.name],
            f"this program installs {CHART_OF[unit.name].version}, which was not promoted",
            fix,
        )
        for unit in settings.asked.units("managed")
        if unit.name in pins and pins[unit.name] != CHART_OF[unit.name].version
    ]
