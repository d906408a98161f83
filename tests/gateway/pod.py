"""One pod, from its volumes to its end, as a kubelet runs it: probes, restarts, hooks, grace.

Not as a kubelet: until a container has been ready once, its probes come four times a second; users, limits, capabilities and
volumes of claims are nobody's. A container whose image is not known here is reported running and ready, as KWOK does.
"""

import contextlib
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from rehearsal.cluster.api import ApiError, Object
from tests.gateway.container import Command, Container, Mount
from tests.gateway.images import Image, Images
from tests.gateway.network import NODE_ADDRESS, PodNetwork
from tests.gateway.volumes import NotThereError, PodApi, data, write_volumes
from tests.gateway.volumes import field as pod_field

TICK_SECONDS: Final = 0.1
QUICK_PROBE_SECONDS: Final = 0.25
RESTART_SECONDS: Final = 1.0
_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What every pod of the node shares. `mounts` and `environment` are in every container."""

    api: PodApi
    images: Images
    folder: Path
    mounts: Sequence[Mount]
    environment: Mapping[str, str]


@dataclass
class _Slot:
    """A container of the spec, and the process that stands for it at the moment."""

    spec: Mapping[str, Any]
    image: Image | None
    process: Container | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    restart_at: float = 0.0
    asked: dict[str, float] = field(default_factory=dict[str, float])
    failures: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def running(self) -> bool:
        return self.image is None or (self.process is not None and self.process.exit_code is None)


class Pod:
    """Runs in a thread of its own until the pod is gone. `problem`: why it could not be run, which no test expects."""

    def __init__(self, machine: Machine, pod: Object, prepare: Callable[["Pod"], None]) -> None:
        self._machine = machine
        self._pod = pod
        self.name: str = pod["metadata"]["name"]
        self.labels: Mapping[str, str] = pod["metadata"].get("labels", {})
        self.folder = machine.folder / f"{self.name}-{pod['metadata']['uid'][:8]}"
        self.folder.mkdir(parents=True)
        self.problem: BaseException | None = None
        self.network = PodNetwork()
        self.address = self.network.address
        self._volumes: dict[str, Path] = {}
        self._slots = [_Slot(spec=spec, image=machine.images.of(spec)) for spec in pod["spec"]["containers"]]
        self._told: Mapping[str, Any] = {}
        self._began = _now()
        self._going = threading.Event()
        self._gone = threading.Event()
        self._grace = 0.0
        self._http = httpx.Client(trust_env=False)
        prepare(self)
        # Envoy ends with the thread that started it: this one lives as long as the pod.
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.thread.start()

    def delete(self, grace: float) -> None:
        """Let it end: hooks, SIGTERM, and SIGKILL after this many seconds."""
        self._grace = grace
        self._going.set()

    def freeze(self) -> None:
        """Stop its processes in the middle of what they do: connections stay, and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.send(number)

    def kill(self) -> None:
        """End it at once: its object is gone, or the tests are."""
        self._gone.set()
        self._going.set()

    def _run(self) -> None:
        try:
            while not self._going.is_set():
                try:
                    self._volumes = write_volumes(self._machine.api, self._pod, self.folder / "volumes")
                    break
                except NotThereError:
                    self._going.wait(TICK_SECONDS)
            while not self._going.wait(TICK_SECONDS):
                self._look()
            if not self._gone.is_set():
                self._end()
        except ApiError as error:
            # Somebody took the object away without waiting for its end.
            if error.code not in {404, 409}:
                self.problem = error
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: the kubelet looks
            self.problem = error
        finally:
            for slot in self._slots:
                if slot.process is not None:
                    slot.process.kill()
            self.network.remove()
            self._http.close()

    def _look(self) -> None:
        finished = self._pod["spec"].get("restartPolicy") == "Never"
        for slot in self._slots:
            if not slot.running and not (finished and slot.process is not None):
                self._start(slot)
            if slot.running:
                self._probe(slot)
        self._tell()

    def _start(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.process is not None:
            if not slot.restart_at:
                slot.restart_at = now + RESTART_SECONDS
            if now < slot.restart_at:
                return
            slot.process.kill()
            slot.restarts += 1
        slot.started = slot.ready = False
        slot.restart_at = 0.0
        slot.asked, slot.failures = {}, {}
        try:
            command = self._command(slot)
        except NotThereError:
            return
        slot.process = Container(slot.spec["name"], command, self.network, self.folder)

    def _command(self, slot: _Slot) -> Command:
        assert slot.image is not None
        environment = {
            **slot.image.environment,
            **self._machine.environment,
            "POD_ADDRESS": self.address,
        }
        for variable in slot.spec.get("env", []):
            environment[variable["name"]] = self._value(variable, environment)
        written = slot.spec.get("command") or list(slot.image.entrypoint)
        words = [_expand(word, environment) for word in [*written, *slot.spec.get("args", [])]]
        mounts = list(self._machine.mounts)
        mounts += [Mount(source=path, target=str(path)) for path in slot.image.programs.values()]
        # An engine's behaviour is told through a file here, see `behaviour`.
        mounts.append(Mount(source=self.folder, target="/pod"))
        for mount in slot.spec.get("volumeMounts", []):
            source = self._volumes[mount["name"]] / mount.get("subPath", "")
            mounts.append(Mount(source=source, target=mount["mountPath"]))
        return Command(words=self._program(slot, words), environment=environment, mounts=mounts)

    def _program(self, slot: _Slot, words: Sequence[str]) -> list[str]:
        assert slot.image is not None
        program = slot.image.programs.get(words[0])
        return [str(program) if program else words[0], *words[1:]]

    def _value(self, variable: Mapping[str, Any], environment: Mapping[str, str]) -> str:
        source = variable.get("valueFrom")
        if source is None:
            return _expand(variable.get("value", ""), environment)
        if "fieldRef" in source:
            if source["fieldRef"]["fieldPath"] == "status.podIP":
                return self.address
            return pod_field(self._pod, source["fieldRef"]["fieldPath"])
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if key in source:
                content = data(
                    self._machine.api, kind, source[key]["name"], self._pod["metadata"]["namespace"]
                )
                return content[source[key]["key"]].decode()
        message = (
            f"pod {self.name}: variable {variable['name']} from {', '.join(source)} can not be made here"
        )
        raise NotImplementedError(message)

    def _probe(self, slot: _Slot) -> None:
        if slot.image is None:
            slot.started = slot.ready = True
            return
        if not slot.started:
            slot.started = self._answers(slot, "startupProbe", every=QUICK_PROBE_SECONDS) is not False
            return
        every = None if slot.ready else QUICK_PROBE_SECONDS
        ready = self._answers(slot, "readinessProbe", every=every)
        if ready is not None:
            slot.ready = ready
        if self._answers(slot, "livenessProbe", every=None) is False and slot.process is not None:
            slot.process.terminate()

    def _answers(self, slot: _Slot, kind: str, *, every: float | None) -> bool | None:
        """Ask if it is time to. None: nothing new. A container without the probe passes it."""
        probe = slot.spec.get(kind)
        if probe is None:
            return True if kind == "readinessProbe" else None
        now = time.monotonic()
        if now < slot.asked.get(kind, 0.0) + (every or probe.get("periodSeconds", 10)):
            return False if kind == "startupProbe" else None
        slot.asked[kind] = now
        if self._ask(slot, probe):
            slot.failures[kind] = 0
            return True
        slot.failures[kind] = slot.failures.get(kind, 0) + 1
        # A start is waited for as long as it takes: the pod's Deployment says when that is too long.
        too_often = slot.failures[kind] >= probe.get("failureThreshold", 3)
        return False if kind == "startupProbe" or too_often else None

    def _ask(self, slot: _Slot, probe: Mapping[str, Any]) -> bool:
        if "exec" in probe:
            return self._execute(slot, probe["exec"]["command"]) == 0
        if "httpGet" in probe:
            return self._get(slot, probe["httpGet"], probe.get("timeoutSeconds", 1))
        if "tcpSocket" in probe:
            return self._connects(probe["tcpSocket"]["port"], probe.get("timeoutSeconds", 1))
        message = f"pod {self.name}: a probe of kind {', '.join(probe)} can not be asked here"
        raise NotImplementedError(message)

    def _get(self, slot: _Slot, request: Mapping[str, Any], seconds: float) -> bool:
        port = request["port"]
        if isinstance(port, str):
            port = next(each["containerPort"] for each in slot.spec["ports"] if each.get("name") == port)
        try:
            answer = self._http.get(
                f"http://{self.address}:{port}{request.get('path', '/')}",
                timeout=seconds,
                headers={"User-Agent": "kube-probe/1.36", "Connection": "close"},
            )
        except httpx.TransportError:
            return False
        return answer.status_code < 400

    def _connects(self, port: int, seconds: float) -> bool:
        try:
            socket.create_connection((self.address, port), timeout=seconds).close()
        except OSError:
            return False
        return True

    def _execute(self, slot: _Slot, words: Sequence[str]) -> int:
        assert slot.process is not None
        return slot.process.execute(self._program(slot, words))

    def _end(self) -> None:
        """Hooks and signals of all containers at once, each within the grace of the pod."""
        deadline = time.monotonic() + self._grace
        live = [slot for slot in self._slots if slot.process is not None and slot.process.exit_code is None]
        threads: list[Callable[[], None]] = [lambda slot=slot: self._end_one(slot, deadline) for slot in live]
        if threads:
            with ThreadPoolExecutor(len(threads)) as pool:
                for done in [pool.submit(each) for each in threads]:
                    done.result()
        if not self._gone.is_set():
            self._machine.api.confirm_end(self._pod)

    def _end_one(self, slot: _Slot, deadline: float) -> None:
        hook = slot.spec.get("lifecycle", {}).get("preStop", {})
        left = max(0.0, deadline - time.monotonic())
        if "sleep" in hook:
            self._gone.wait(min(left, hook["sleep"]["seconds"]))
        elif "httpGet" in hook:
            # It answers when the container may end.
            self._get(slot, hook["httpGet"], left)
        elif "exec" in hook:
            self._execute(slot, hook["exec"]["command"])
        assert slot.process is not None
        slot.process.terminate()
        while slot.process.exit_code is None and time.monotonic() < deadline and not self._gone.is_set():
            time.sleep(TICK_SECONDS)
        slot.process.kill()

    def _tell(self) -> None:
        """Write the pod's status, where it changed."""
        status = self._status()
        if status != self._told:
            self._machine.api.set_status(self._pod, status)
            self._told = status

    def _status(self) -> Mapping[str, Any]:
        codes = [slot.process.exit_code if slot.process else None for slot in self._slots]
        phase = "Running"
        if self._pod["spec"].get("restartPolicy") == "Never" and None not in codes:
            phase = "Failed" if any(codes) else "Succeeded"
        ready = phase == "Running" and all(slot.ready and slot.running for slot in self._slots)
        conditions = {
            "PodScheduled": True,
            "PodReadyToStartContainers": True,
            "Initialized": True,
            "ContainersReady": ready,
            "Ready": ready,
            **{gate["conditionType"]: True for gate in self._pod["spec"].get("readinessGates", [])},
        }
        return {
            "phase": phase,
            "conditions": [self._condition(kind, holds=holds) for kind, holds in conditions.items()],
            "containerStatuses": [self._container(slot) for slot in self._slots],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": NODE_ADDRESS,
            "hostIPs": [{"ip": NODE_ADDRESS}],
            "startTime": self._began,
        }

    def _condition(self, kind: str, *, holds: bool) -> Mapping[str, Any]:
        status = str(holds)
        for told in self._told.get("conditions", []):
            if told["type"] == kind and told["status"] == status:
                return told
        return {"type": kind, "status": status, "lastTransitionTime": _now()}

    def _container(self, slot: _Slot) -> Mapping[str, Any]:
        code = None if slot.process is None else slot.process.exit_code
        state: dict[str, Any] = {"running": {"startedAt": self._began}}
        if code is not None:
            reason = "Error" if code else "Completed"
            state = {"terminated": {"exitCode": code, "reason": reason, "startedAt": self._began}}
        elif not slot.running:
            state = {"waiting": {"reason": "ContainerCreating"}}
        return {
            "name": slot.spec["name"],
            "image": slot.spec["image"],
            "imageID": "",
            "ready": slot.ready and slot.running,
            "started": slot.started,
            "restartCount": slot.restarts,
            "state": state,
        }


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Fill in $(NAME), as the API describes it; what is not known stays."""
    return _REFERENCE.sub(lambda found: environment.get(found[1], found[0]), text)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def join(pods: Sequence[Pod], seconds: float) -> None:
    """Wait until the pods have ended."""
    deadline = time.monotonic() + seconds
    for pod in pods:
        with contextlib.suppress(RuntimeError):
            pod.thread.join(max(0.0, deadline - time.monotonic()))
