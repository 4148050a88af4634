"""The command learns: at its real sizes on the default task, and what lies beside it."""

from __future__ import annotations

import json
import math

import pytest

from tests.cli.helpers import epochs, only_run
from tests.conftest import Command

RESIDUAL_BOTH_WAYS = ("--model.num_layers=2", "--model.bidirectional=true", "--model.residual=true")


def _tested(command: Command, *options: str) -> dict[str, float]:
    fitted = command("fit", *options)
    assert fitted.code == 0, fitted.err
    tested = command("test")
    assert tested.code == 0, tested.err
    content: dict[str, float] = json.loads((only_run() / "test" / "metrics.json").read_text())
    return content


@pytest.mark.parametrize(
    ("options", "max_epochs"),
    [
        (("--config=lstm.yaml",), 3),
        (("--config=rnn.yaml",), 2),
        (("--config=gru.yaml",), 2),
        (("--config=bilstm.yaml",), 2),
        (("--config=stacked_lstm.yaml",), 2),
        (("--config=lstm.yaml", *RESIDUAL_BOTH_WAYS), 2),
    ],
    ids=["lstm", "rnn", "gru", "bilstm", "stacked_lstm", "residual_bilstm"],
)
def test_each_architecture_learns_to_remember_the_first_step(
    command: Command, options: tuple[str, ...], max_epochs: int
) -> None:
    measured = _tested(command, *options, f"--trainer.max_epochs={max_epochs}")
    assert measured["test_accuracy"] >= 0.93  # who knows the last step alone is right three times in four
    assert measured["test_auroc"] > measured["test_accuracy"]
    assert abs(measured["test_f1"] - measured["test_accuracy"]) < 0.01


def test_sequences_of_different_lengths_are_learnt(command: Command) -> None:
    options = ("--config=gru.yaml", "--data.min_steps=2", "--data.num_steps=8", "--trainer.max_epochs=2")
    assert _tested(command, *options)["test_accuracy"] >= 0.95


def test_five_classes_are_learnt(command: Command) -> None:
    measured = _tested(command, "--config=gru.yaml", "--data.num_classes=5", "--trainer.max_epochs=2")
    assert measured["test_accuracy"] >= 0.85
    assert measured["test_f1"] >= 0.85


def test_a_sum_is_learnt_to_a_hundredth_of_its_variance(command: Command) -> None:
    measured = _tested(command, "--config=lstm.yaml", "--data.num_classes=0", "--trainer.max_epochs=3")
    variance = 2.0  # of the sum of two standard normal numbers
    assert measured["test_mse"] < 0.01 * variance
    assert measured["test_loss"] == pytest.approx(measured["test_mse"], rel=1e-5)
    assert measured["test_mae"] < math.sqrt(measured["test_mse"])


@pytest.mark.parametrize(
    ("options", "max_epochs", "loss"),
    [
        (("--config=lstm.yaml",), 15, 1.0),
        (("--config=gru.yaml", "--model.hidden_size=64", "--optimizer.lr=0.01"), 12, 0.5),
    ],
    ids=["lstm", "gru"],
)
def test_a_thousand_random_labels_are_memorised(
    command: Command, options: tuple[str, ...], max_epochs: int, loss: float
) -> None:
    """Only a network that uses all of 50 steps can: chance alone stays at ln 5."""
    data = ("--data.rule=random", "--data.num_classes=5", "--data.num_steps=50", "--data.input_size=10")
    sizes = ("--data.num_train=1000", "--data.num_val=200", "--data.num_test=200", f"--trainer.max_epochs={max_epochs}")
    habits = ("--early_stopping=null", "--optimizer.weight_decay=0")
    assert command("fit", *options, *data, *sizes, *habits).code == 0
    rows = epochs(only_run())
    assert rows[0]["train_loss"] == pytest.approx(math.log(5), abs=0.1)
    assert rows[-1]["train_loss"] < loss
    assert all(row["val_loss"] > math.log(5) - 0.05 for row in rows)  # there is nothing to learn for other sequences
