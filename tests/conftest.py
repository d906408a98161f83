"""What tests of several kinds share: the project's stacks, and a way to run a program without an engine."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.recorder import Recorder, record
from settings import Settings, load_stack_file
from settings.loader import stack_name

ROOT = Path(__file__).resolve().parents[1]
STACKS = tuple(sorted(map(stack_name, ROOT.glob("Pulumi.*.yaml"))))
# A program is run under these names; nothing may depend on them.
PROJECT, STACK = "test-project", "test-stack"


def pytest_configure() -> None:
    """Take Ctrl-C again where it is ignored, as it is for whatever a shell script starts in the background.

    What the tests start would inherit that, and tests send Ctrl-C to what they start.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


Deploy = Callable[[Callable[[], object]], Recorder]


@pytest.fixture(scope="session", params=STACKS)
def each_stack(request: pytest.FixtureRequest) -> str:
    """The name of a stack: a test that takes it runs once for every stack file that is there."""
    return request.param


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def local() -> Settings:
    """The settings of the stack `local`: one model of each kind."""
    return load_stack_file(ROOT / "Pulumi.local.yaml")


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Run a program under the recorder and return the record, complete, for plain assertions.

    An Output in an f-string is an error. Two resources with one URN are one, too: Pulumi's mocks let them pass.
    """
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "true")
    for variable in ("KUBECONFIG", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    recorders: list[Recorder] = []

    def run(program: Callable[[], object]) -> Recorder:
        recorder = record(program, project=PROJECT, stack=STACK)
        recorders.append(recorder)
        return recorder

    yield run
    assert [recorder.duplicates() for recorder in recorders] == [[] for _ in recorders]
