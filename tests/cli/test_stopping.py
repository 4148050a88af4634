"""SIGINT and SIGTERM: the work is kept, and the training goes on as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning import SequenceClassifier
from rnn_lightning.cli import runs
from tests.cli.helpers import files, only_run
from tests.conftest import Command, Result, _train

TINY = (
    *("--model.hidden_size=4", "--data.num_train=200", "--data.num_val=130", "--data.batch_size=64"),
    *("--trainer.max_epochs=3", "--early_stopping=null"),
)
"""Three epochs of 4 batches and 3 of validation."""

Whole = Callable[..., Path]


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Tests that run in the background of a shell are deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without an interruption."""
    (run,) = _train(tmp_path_factory.mktemp("whole"), *TINY).glob("*/*")
    return run


def _stopped(command: Command, hook: str, call: int, number: int, *options: object) -> Result:
    """A training to which a signal is sent when the model's hook is called for the nth time."""
    calls = 0
    own = getattr(SequenceClassifier, hook)

    def send(self: SequenceClassifier, *args: Any) -> Any:
        nonlocal calls
        calls += not self.trainer.sanity_checking
        if calls == call:
            os.kill(os.getpid(), number)
        return own(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SequenceClassifier, hook, send)
        return command("fit", *options)


def _checkpoint(run: Path, part: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / part, weights_only=True)
    return content


def assert_same_end(run: Path, other: Path) -> None:
    """Holds two runs to have the same weights, optimiser and measurements."""
    for part in (runs.LAST, runs.BEST):
        own, others = (_checkpoint(each, part) for each in (run, other))
        assert own["global_step"] == others["global_step"]
        for name, value in others["state_dict"].items():
            assert torch.equal(own["state_dict"][name], value), name
        states = (each["optimizer_states"][0]["state"] for each in (own, others))
        for mine, its in zip(*(state.values() for state in states), strict=True):
            assert all(torch.equal(mine[name], its[name]) for name in its)
    assert (run / "metrics.csv").read_text().splitlines() == (other / "metrics.csv").read_text().splitlines()


@pytest.mark.parametrize("call", range(1, 13))
def test_a_training_stopped_at_any_step_goes_on_as_if_it_had_not_been(command: Command, whole: Path, call: int) -> None:
    number = signal.SIGINT if call % 2 else signal.SIGTERM
    result = _stopped(command, "training_step", call, number, *TINY)
    print(result.err)
    assert result.code == 128 + number, result
    assert "--resume" in result.err
    assert command("fit", "--resume").code == 0
    assert_same_end(only_run(), whole)


@pytest.mark.parametrize("call", range(1, 10))
def test_val(command: Command, whole: Path, call: int) -> None:
    number = signal.SIGINT if call % 2 else signal.SIGTERM
    result = _stopped(command, "validation_step", call, number, *TINY)
    print(result.err)
    assert result.code == 128 + number, result
    assert "--resume" in result.err
    assert command("fit", "--resume").code == 0
    assert_same_end(only_run(), whole)
