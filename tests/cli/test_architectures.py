"""Every architecture goes with every task: in a command the name of the one is all that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import measured
from tests.conftest import Command
from tests.test_configs import ARCHITECTURES, _read

SMALL = ("--model.hidden_size=8", "--trainer.max_epochs=1")
ONE_WAY = [name for name in ARCHITECTURES if not _read(name)["model"]["init_args"].get("bidirectional")]


def _works(command: Command, architecture: str, *options: str) -> None:
    fitted = command("fit", "--config", architecture, *SMALL, *options)
    assert fitted.code == 0, fitted.err
    assert all(line.startswith("Reading ") for line in fitted.err.splitlines())
    tested = command("test")
    assert (tested.code, tested.err) == (0, "")
    assert "test_loss" in measured(tested)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_learns_sequences_of_numbers(command: Command, architecture: str) -> None:
    _works(command, architecture, "--data.num_train=64", "--data.num_val=32", "--data.num_test=32")
    predicted = command("predict")
    assert (predicted.code, len(predicted.out.splitlines())) == (0, 32), predicted.err


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_learns_reviews(command: Command, architecture: str, archive: Path) -> None:
    sizes = ("--model.embedding_size=8", "--data.vocab_size=40", f"--data.path={archive}")
    _works(command, architecture, "--config=imdb.yaml", *sizes)
    predicted = command("predict", "--text=a good film", "--text=a bad one")
    assert (predicted.code, len(predicted.out.splitlines())) == (0, 2), predicted.err


@pytest.mark.parametrize("architecture", ONE_WAY)
def test_an_architecture_learns_the_next_word_and_goes_on_writing(command: Command, architecture: str) -> None:
    _works(command, architecture, "--config=next_word.yaml", "--trainer.check_val_every_n_epoch=1")
    predicted = command("predict", "--text=我 喜欢")
    assert (predicted.code, len(predicted.out.splitlines())) == (0, 1), predicted.err
    written = command("generate", "--prompt=我", "--length=4", "--temperature=0")
    assert (written.code, len(written.out.split())) == (0, 5), written.err
