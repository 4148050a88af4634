"""A training that is interrupted two hundred times ends as one that never was.

pytest -m slow tests/faults/test_soak.py
"""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from rnn_lightning.cli import runs
from rnn_lightning.tasks.loading import read_checkpoint
from tests.cli.helpers import only_run
from tests.faults.killed import TINY, Moments, assert_same_end, forked
from tests.faults.test_interruptions import killed_at

LONG = (*TINY, "--trainer.max_epochs=300")
CYCLES = 200


@pytest.mark.slow
def test_two_hundred_interruptions_change_nothing(workplace: Path) -> None:
    """A third each is killed, terminated and interrupted, at a moment of what it does or at any time."""
    assert forked("fit", *LONG).code == 0
    whole = Path(shutil.move(only_run(), "whole"))
    draws = random.Random(0)
    argv: tuple[str, ...] = ("fit", *LONG)
    ends: dict[int, int] = {}
    for cycle in range(CYCLES):
        number = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[cycle % 3]
        at_any_time = number == signal.SIGKILL and draws.random() < 0.5
        moments = None if at_any_time else Moments(draws.randint(1, 60), number)
        ended = forked(*argv, moments=moments, seconds=draws.uniform(0.3, 3.0) if at_any_time else None)
        ends[ended.code] = ends.get(ended.code, 0) + 1
        assert ended.code in (-signal.SIGALRM, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT), ended.said
        for path in Path("runs").rglob("*.ckpt"):
            read_checkpoint(path)
        if list(Path("runs").rglob(runs.CONFIG)):
            argv = ("fit", "--resume")
    print(ends, runs.at_a_glance(only_run()).epochs, "epochs")
    assert forked(*argv).code == 0
    assert_same_end(only_run(), whole)
    assert not list(Path("runs").rglob("*.unfinished"))


@pytest.mark.slow
def test_a_training_can_be_gone_on_with_wherever_it_is_killed(workplace: Path) -> None:
    """Between any two things that it does."""
    whole_run = forked("fit", *TINY, moments=Moments(0))
    assert whole_run.code == 0
    whole = Path(shutil.move(only_run(), "whole"))
    for moment in range(1, whole_run.count + 1):
        shutil.rmtree("runs", ignore_errors=True)
        killed_at(moment, whole)
