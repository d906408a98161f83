"""An engine whose weights are not there, on a real vLLM: a pod needs no init container that looks for them."""

from pathlib import Path

import pytest

from components.engine_args import engine_args
from rehearsal.cpu_engine.process import starting_engine
from settings.models import Model
from tests.image.engine import environment_on_cpu, flags_on_cpu

pytestmark = pytest.mark.image


def test_it_ends_by_itself_and_says_which_folder_it_looked_for(chat_model: Model, tmp_path: Path) -> None:
    """And asks no hub for it, as it might for what looks like the name of a repository."""
    missing = tmp_path / "mnt" / "models" / "revision"
    flags, log = flags_on_cpu(engine_args(chat_model)), tmp_path / "engine.log"
    with starting_engine(missing, flags, log, environment_on_cpu(chat_model)) as engine:
        assert engine.wait(seconds=180) != 0
        assert str(missing) in log.read_text()
