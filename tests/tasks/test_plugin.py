"""Another package's layer, data set and task work without a change here, and a checkpoint says that it needs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from rnn_lightning import load
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.cli.helpers import losses, only_run
from tests.conftest import SMALL, Command


def _remove(plugin: Path) -> None:
    sys.path.remove(str(plugin))
    sys.modules.pop("leaky_rnn")


def test_a_layer_of_another_package_trains_tests_and_is_loaded(command: Command, plugin: Path) -> None:
    result = command("fit", *SMALL, "--model.cell", "leaky", "--model.cell_options", "{keep: 0.25}")
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "leaky-synthetic"
    assert "Leaky 3 -> 8" in result.out
    assert losses(result)[-1] < losses(result)[0]
    assert command("test").code == 0
    model = load(run)
    assert type(model.recurrent.layers[0]).__name__ == "Leaky"
    assert model.recurrent.layers[0].keep == 0.25
    assert model.hparams["cell_options"] == {"keep": 0.25}


def test_its_checkpoint_names_the_package_and_cannot_be_loaded_without_it(command: Command, plugin: Path) -> None:
    assert command("fit", *SMALL, "--model.cell", "leaky").code == 0
    run = only_run()
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint[CHECKPOINT_KEY]["plugins"] == ["leaky-rnn"]
    _remove(plugin)
    with pytest.raises(ValueError, match="the checkpoint needs the recurrent layer 'leaky'") as error:
        load(run)
    assert str(error.value).endswith(" from the package leaky-rnn: install leaky-rnn")
    assert "\n" not in str(error.value)
    result = command("test")
    assert result.code == 2
    assert result.err == f"rnn-lightning: {error.value}\n"


def test_a_wrong_option_of_its_layer_is_told(command: Command, plugin: Path) -> None:
    result = command("fit", *SMALL, "--model.cell", "leaky", "--model.cell_options", "{kep: 0.25}")
    assert result.code == 2
    assert "the layer 'leaky' has no option 'kep'; it has keep; did you mean 'keep'?" in result.err
    assert not Path("runs").exists()


def test_a_name_of_its_own_stays_ours(command: Command, plugin: Path) -> None:
    result = command("fit", *SMALL, "--model.cell", "lstm")
    assert result.code == 0, result.err
    assert "LSTM 3 -> 8" in result.out
    checkpoint = torch.load(only_run() / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint[CHECKPOINT_KEY]["plugins"] == []


def test_a_data_set_and_a_task_of_another_package_are_found_by_name(command: Command, plugin: Path) -> None:
    words = ("--data", "LongSequences", "--model", "SlowClassifier")
    result = command("fit", *words, *SMALL)
    assert result.code == 0, result.err
    run = only_run()
    assert run.parent.name == "lstm-long"
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert (checkpoint[CHECKPOINT_KEY]["task"], checkpoint[CHECKPOINT_KEY]["plugins"]) == (
        "SlowClassifier",
        ["leaky-rnn"],
    )
    assert type(load(run)).__name__ == "SlowClassifier"
    tested = command("test")
    assert tested.code == 0, tested.err
    assert "(90 sequences)" in tested.out
    _remove(plugin)
    with pytest.raises(ValueError, match="needs the task 'SlowClassifier' from the package leaky-rnn"):
        load(run)


def test_a_task_without_a_recurrent_layer_works_too(command: Command, plugin: Path) -> None:
    options = ("--model=MeanOfSteps", "--model.bias=false", *SMALL[1:])
    result = command("fit", *options)
    assert result.code == 0, result.err
    checkpoint = torch.load(only_run() / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] == {"bias": False, "input_size": 3}
    assert checkpoint[CHECKPOINT_KEY]["plugins"] == ["leaky-rnn"]
    tested = command("test")
    assert tested.code == 0, tested.err
    assert "(90 sequences)" in tested.out
