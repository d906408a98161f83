"""Drives a rollout: deploy a step, let it bake, ask the judge, go on or go back.

All that it knows stands in the stack file and in the cluster, so a run that ended anywhere is gone on with by the next.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ops.cluster_api import ClusterError
from ops.rollout.history import History
from ops.rollout.judge import Health, Measured, Verdict, judge
from ops.rollout.lock import in_turn
from ops.rollout.observe import Live
from ops.rollout.prometheus import PrometheusError
from ops.rollout.stack_file import StackFile, Standing
from rehearsal.errors import UserError

LOOK_SECONDS: Final = 15.0
"""Between two looks at a step. Prometheus asks the pods every 30 seconds."""
PATIENCE_SECONDS: Final = 60.0
"""For a step that is older than its longest wait when a driver comes back to it: the judge is asked some times first."""
ROLLED_BACK: Final = 1


class View(Protocol):
    """What is shown of it."""

    def moved(self, standing: Standing) -> None:
        """Say where the stack file stands now."""
        ...

    def looked(self, standing: Standing, age: float, verdict: Verdict, note: str) -> None:
        """Show a look at a step that is `age` seconds old."""
        ...

    def say(self, text: str) -> None:
        """Say something in between."""
        ...


@dataclass(kw_only=True)
class Driver:
    """One rollout of one model.

    history: None where moves are not committed. deploy: runs `pulumi up` and raises UserError where it fails; None where
    somebody else does it, who is told so by a commit. look and remove raise ClusterError, measure PrometheusError. remove:
    takes the candidate's InferenceService out of the cluster.
    """

    file: StackFile
    history: History | None
    deploy: Callable[[], None] | None
    look: Callable[[], Live]
    remove: Callable[[], None]
    measure: Callable[[Live, int], tuple[Measured, Measured]]
    view: View
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, change: Mapping[str, Any] | None) -> int:
        """Begin with `change`, or go on with what is under way, to the end or, without `deploy`, to the next commit.

        Returns 0, or ROLLED_BACK. Raises UserError where nothing can be decided, SettingsError where a step is refused.
        """
        standing = self.resume()
        moved = standing.phase == "stable"
        if moved and self.deploy is not None and self._left_over():
            # A run ended between the file and the cluster. What it took back is not begun again without a word.
            return ROLLED_BACK if change else 0
        reasons = self._begin(change) if moved else self._converge(standing)
        while True:
            standing = self.file.read()
            if reasons:
                return self._back(standing, reasons)
            if standing.phase == "stable" or (moved and self.deploy is None):
                return 0
            reasons = self._bake(standing) if standing.phase == "step" else self._settle(standing)
            reasons = reasons or self._onward(standing)
            moved = True

    def abort(self) -> int:
        """Go back at once: the stable version has all of the traffic, then the candidate goes. Raises UserError."""
        standing = self.resume()
        if standing.phase == "promoted":
            raise UserError(
                f"{standing}. The stable version is the new release by now: run the rollout to its end, "
                "and then roll out the release before it."
            )
        if standing.phase == "stable":
            if not self._left_over():
                self.view.say(f"{standing}: there is nothing to go back from")
        else:
            self._must_deploy(self._finish(f"{self.file.model}: rollout aborted"))
        return 0

    def _left_over(self) -> bool:
        """Take a candidate out of the cluster that is out of the file already; tell whether there was one."""
        live = self.look()
        if not live.weight and live.health is None:
            return False
        self._must_deploy(self._without_it(self._deployed()))
        self.view.say("a candidate that was out of the stack file already is out of the cluster too")
        return True

    def _must_deploy(self, failed: list[str]) -> None:
        if failed:
            raise UserError(
                f"the candidate is out of {self.file.path.name}, but not of the cluster:\n{failed[0]}"
            )

    def resume(self) -> Standing:
        """Return where the rollout stands. What a run wrote that ended before its commit is committed now. Raises UserError."""
        standing = self.file.read()
        if self.history is None:
            return standing
        text, committed = self.file.text(), self.history.committed()
        if text == committed:
            return standing
        if committed is None or not self.file.moves(committed, text):
            raise UserError(
                f"{self.file.path.name} has changes that are not committed, and every move of a rollout is a commit of it.\n"
                "fix: commit or stash them; or leave commits to yourself with --no-commit"
            )
        self.history.commit(f"{self.file.stack}: {standing}")
        return standing

    def _begin(self, change: Mapping[str, Any] | None) -> list[str]:
        if not change:
            why = "no rollout is under way" if change is None else "the stable release is what --to names"
            raise UserError(f"{self.file.model}: {why}. Say with --to what to roll out.")
        replicas = self._held(self.file.read())
        return self._move(lambda: self.file.begun(change, replicas))

    def _held(self, standing: Standing) -> int | None:
        """Return how many replicas carry the traffic now, where a scaler made them more than its least."""
        model = standing.model
        try:
            live = self.look()
        except ClusterError as error:
            if self.deploy is not None:
                raise
            self.view.say(
                f"how many replicas carry the traffic now is not known, so the least is taken: {error}"
            )
            return None
        held = min(live.replicas or 0, model.max_replicas)
        return held if held > max(1, model.min_replicas) else None

    def _converge(self, standing: Standing) -> list[str]:
        """Bring the cluster to where the file stands; without `deploy`, see whether somebody did."""
        self.view.moved(standing)
        if self.deploy is not None:
            return self._deployed()
        live = self.look()
        missing = self._missing(standing, live)
        if missing:
            raise UserError(f"{standing}, and this is not deployed yet: {missing}. Deploy it, then go on.")
        return []

    def _missing(self, standing: Standing, live: Live) -> str | None:
        """Say what of the file is not in the cluster."""
        wanted = standing.images
        found = {name: live.images.get(name) for name in wanted}
        if live.weight != standing.rollout.weight:
            return f"the route gives {live.weight or 0} % to the candidate"
        if found != wanted:
            return f"images are {found}, and should be {wanted}"
        if standing.phase == "promoted" and not live.settled:
            return "replicas of the stable version are still being replaced"
        return None

    def _onward(self, standing: Standing) -> list[str]:
        if standing.phase == "promoted":
            return self._finish(f"{self.file.model}: rollout done")
        if standing.last_step:
            return self._move(lambda: self.file.promoted(standing))
        return self._move(lambda: self.file.advanced(standing))

    def _back(self, standing: Standing, reasons: list[str]) -> int:
        for reason in reasons:
            self.view.say(f"not good: {reason}")
        if standing.phase != "step":
            raise UserError(
                f"{standing}; its deployment failed. Run the same command again when the cause is gone."
            )
        weight = standing.rollout.weight
        head = f"{self.file.model}: rolled back at {weight} %"
        failed = self._finish("\n".join([head, "", *reasons]))
        if failed:
            raise UserError(
                f"{head} in {self.file.path.name}, but that is not deployed:\n{failed[0]}\n"
                "fix: when the cause is gone, deploy the stack, or run `vp rollout abort`"
            )
        self.view.say(head)
        return ROLLED_BACK

    def _bake(self, standing: Standing) -> list[str]:
        """Look at a step until it is good for long enough. Returns why it is not, else nothing."""
        began = self.clock()
        judging = standing.rollout.judge
        longest = max(standing.rollout.bake_seconds, judging.max_wait_seconds)
        while True:
            age, verdict, note = self._look_at(standing, self.clock() - began)
            self.view.looked(standing, age, verdict, note)
            if verdict.opinion == "bad":
                return verdict.reasons
            left = standing.rollout.bake_seconds - age
            if verdict.opinion == "good" and left <= 0:
                return []
            waited = self.clock() - began
            if verdict.opinion == "open" and age >= longest and waited >= min(PATIENCE_SECONDS, longest):
                return [
                    f"not shown to be good within {longest} s",
                    *([note] if note else []),
                    *verdict.reasons,
                ]
            self.sleep(min(LOOK_SECONDS, left) if left > 0 else LOOK_SECONDS)

    def _settle(self, standing: Standing) -> list[str]:
        """Wait until every replica of the stable version runs the new release: then it can take the traffic back."""
        longest = standing.rollout.judge.max_wait_seconds
        began = self.clock()
        while True:
            try:
                missing = self._missing(standing, self.look())
            except ClusterError as error:
                missing = str(error)
            if missing is None:
                return []
            if self.clock() - began >= longest:
                raise UserError(
                    f"{standing}, and after {longest} s {missing}. The candidate keeps the traffic."
                )
            self.view.say(f"{standing}: {missing}")
            self.sleep(LOOK_SECONDS)

    def _look_at(self, standing: Standing, waited: float) -> tuple[float, Verdict, str]:
        """Return the step's age, the judge's verdict, and why something is not known."""
        nothing = Measured(), Measured()
        weight = standing.rollout.weight
        try:
            live = self.look()
        except ClusterError as error:
            unknown = Health(state="not ready yet", why="not known")
            return waited, self._verdict(standing, unknown, nothing), str(error)
        if live.weight != weight:
            gone = Health(state="not ready", why=f"the route gives it {live.weight or 0} %, not {weight} %")
            return live.age, self._verdict(standing, gone, nothing), ""
        health = live.health or Health(state="not ready", why="its InferenceService is not there")
        try:
            measured = self.measure(live, weight) if weight else nothing
        except PrometheusError as error:
            return live.age, self._verdict(standing, health, nothing), str(error)
        return live.age, self._verdict(standing, health, measured), ""

    @staticmethod
    def _verdict(standing: Standing, health: Health, measured: tuple[Measured, Measured]) -> Verdict:
        traffic = standing.rollout.weight > 0
        canary, stable = measured
        return judge(
            standing.rollout.judge,
            canary=canary,
            stable=stable,
            health=health,
            replicas=standing.candidate_replicas,
            traffic=traffic,
        )

    def _finish(self, message: str) -> list[str]:
        return self._without_it(self._move(self.file.finished, message))

    def _without_it(self, failed: list[str]) -> list[str]:
        """Take the candidate out of the cluster where its removal left it there. Returns `failed`.

        An update that was cut off while it made the candidate may not have written down that it did. Pulumi then knows
        of none that it could remove.
        """
        if self.deploy is not None and not failed and self.look().health is not None:
            self.remove()
            self.view.say("the candidate was in the cluster and unknown to Pulumi: it is removed")
        return failed

    def _move(self, edit: Callable[[], str], message: str = "") -> list[str]:
        """Write, commit and deploy one move; drivers of other models of the stack wait. Returns why its deployment failed."""
        with in_turn(self.file.path):
            standing = self.file.write(edit())
            if self.history is not None:
                self.history.commit(f"{self.file.stack}: {message or standing}")
            self.view.moved(standing)
            return self._deploy_now()

    def _deployed(self) -> list[str]:
        with in_turn(self.file.path):
            return self._deploy_now()

    def _deploy_now(self) -> list[str]:
        if self.deploy is None:
            return []
        try:
            self.deploy()
        except UserError as error:
            return [str(error)]
        return []
