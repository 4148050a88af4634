"""What tells the architectures apart, over three seeds each: `pytest -m slow tests/cli/test_contrasts.py`.

About 45 minutes of processor time, in two trainings side by side. The commands are those of docs/architectures.md.
"""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Command

pytestmark = pytest.mark.slow

SIDE_BY_SIDE = ("--jobs", "2")


def _compared(program: str, *words: str) -> dict[str, float]:
    """The mean of each row, from the table that a comparison writes."""
    done = subprocess.run([program, "compare", *words, *SIDE_BY_SIDE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done
    print(done.stdout)
    with Path("comparison/table.csv").open(encoding="utf-8") as file:
        return {line["row"]: float(line["mean"]) for line in csv.DictReader(file)}


def test_gates_carry_a_number_over_two_hundred_steps(program: str, workplace: Path) -> None:
    """By chance the squared error is 0.1667."""
    rows = ("rnn.yaml", "lstm.yaml", "gru.yaml", "mingru.yaml")
    errors = _compared(program, "--columns", "adding.yaml", "--rows", *rows, "--model.hidden_size", "64")
    assert all(errors[name] < 0.01 for name in ("lstm", "gru", "mingru")), errors
    assert 0.15 < errors["rnn"] < 0.18


def test_a_state_that_the_gates_see_counts_on_in_sequences_longer_than_any_before(
    program: str, workplace: Path
) -> None:
    """By chance half of the steps are right."""
    rows = ("lstm.yaml", "slstm.yaml", "mingru.yaml", "transformer.yaml")
    right = _compared(program, "--columns", "parity.yaml", "--rows", *rows, "--model.hidden_size", "64")
    assert right["lstm"] >= 0.95
    assert right["slstm"] >= 0.95
    assert all(right[name] < 0.6 for name in ("mingru", "transformer")), right


def test_gates_that_see_the_state_keep_letters_in_their_order(program: str, workplace: Path) -> None:
    """At as many parameters; by chance an eighth of the letters are right."""
    rows = ("gru.yaml --model.hidden_size 64", "mingru.yaml --model.hidden_size 500")
    gru, mingru = _compared(program, "--columns", "selective_copy.yaml", "--rows", *rows).values()
    assert gru > 0.95
    assert mingru < 0.7


def test_pixels_in_a_senseless_order_are_read_though_a_linear_model_reads_them_better(
    command: Command, program: str, workplace: Path
) -> None:
    """Over five seeds; by chance a tenth are right. 1,258 images teach a network little about an order of pixels."""
    line = command("baseline", "--config=digits.yaml").out.splitlines()[-1]
    assert "logistic regression on all steps" in line
    linear = float(line.partition("test_accuracy ")[2].split()[0])
    (gru,) = _compared(program, "--columns=digits.yaml", "--rows=gru.yaml", "--seeds=5").values()
    assert 0.9 < gru < linear
