"""The kubelet of the one node: runs the pods of some namespaces, as the API server has them, and takes them down again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.gateway.pod import Machine, Pod, join

LOOK_SECONDS: Final = 0.1
END_SECONDS: Final = 10.0


class Kubelet:
    """Looks at the pods until it is stopped. `prepare` is called for each new pod, before its containers start."""

    def __init__(self, machine: Machine, namespaces: Sequence[str], prepare: Callable[[Pod], None]) -> None:
        self._machine = machine
        self._namespaces = namespaces
        self._prepare = prepare
        self._pods: dict[str, Pod] = {}
        self._problems: list[BaseException] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)
        self._thread.start()

    def pods(self, labels: Mapping[str, str] | None = None) -> list[Pod]:
        """Return the pods with all of these labels, the oldest first."""
        wanted = (labels or {}).items()
        return [pod for pod in list(self._pods.values()) if wanted <= pod.labels.items()]

    def stop(self) -> None:
        """Kill what runs. Raises what went wrong in the meantime with the running of pods."""
        self._stopping.set()
        self._thread.join()
        left = list(self._pods.values())
        for pod in left:
            pod.kill()
        join(left, END_SECONDS)
        problems = [*self._problems, *(pod.problem for pod in left if pod.problem is not None)]
        if problems:
            message = "the kubelet could not run what it was given"
            raise BaseExceptionGroup(message, problems)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look()
            except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: `stop` tells
                self._problems.append(error)
                return

    def _look(self) -> None:
        found = [
            pod for namespace in self._namespaces for pod in self._machine.api.list("v1", "Pod", namespace)
        ]
        there = {pod["metadata"]["uid"] for pod in found}
        for uid, pod in list(self._pods.items()):
            if uid not in there:
                pod.kill()
                if not pod.thread.is_alive():
                    if pod.problem is not None:
                        self._problems.append(pod.problem)
                    del self._pods[uid]
        for each in found:
            meta = each["metadata"]
            if meta["uid"] not in self._pods:
                # A pod without a node is the scheduler's.
                if "nodeName" not in each["spec"]:
                    continue
                self._pods[meta["uid"]] = Pod(self._machine, each, self._prepare)
            if "deletionTimestamp" in meta:
                self._pods[meta["uid"]].delete(float(meta.get("deletionGracePeriodSeconds", 0)))
