"""A chance level is what the best answer reaches that has no memory of the inputs: found here by trying."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnn_lightning import (
    AddingProblem,
    CopyMemory,
    Digits,
    NextWord,
    Parity,
    SelectiveCopy,
    SyntheticSequences,
    TemporalOrder,
)
from rnn_lightning.batch import NO_LABEL
from tests.data.kinds import everything, ready

MANY = {"num_train": 4000, "num_val": 4000}


def _labelled(part: Any) -> torch.Tensor:
    targets = everything(part).targets
    assert targets is not None
    return targets[targets != NO_LABEL]


@pytest.mark.parametrize(
    ("kind", "accuracy"), [(CopyMemory, 1 / 8), (SelectiveCopy, 1 / 8), (TemporalOrder, 1 / 4), (Parity, 1 / 2)]
)
def test_no_single_answer_is_right_more_often(kind: Any, accuracy: float) -> None:
    data = ready(kind, **MANY)
    assert data.chance_level()["accuracy"] == accuracy
    val = _labelled(data.val)
    for label in range(len(data.facts.labels)):
        # Parities of neighbouring steps are no independent draws: the sequences are.
        assert (val == label).float().mean().item() == pytest.approx(accuracy, abs=5 / (2 * math.sqrt(4000)))


@pytest.mark.parametrize("kind", [CopyMemory, SelectiveCopy])
def test_the_loss_by_chance_is_that_of_the_frequencies_in_training(kind: Any) -> None:
    data = ready(kind, **MANY)
    frequencies = torch.bincount(_labelled(data.train)).double()
    val = _labelled(data.val)
    logits = frequencies.log().expand(len(val), -1)
    loss = functional.cross_entropy(logits, val).item()
    assert data.chance_level()["loss"] == pytest.approx(loss, abs=0.003)


def test_the_loss_by_chance_of_the_papers_counts_the_blanks_too() -> None:
    """Blanks where blanks are, with certainty, and the eight letters alike in the end: 10 ln 8 / (T + 20) a step."""
    data = ready(CopyMemory, num_val=300, num_steps=50)
    batch = everything(data.val)
    assert batch.targets is not None
    targets = batch.targets.masked_fill(batch.targets == NO_LABEL, 8)
    logits = torch.full((300, 70, 9), -100.0)
    logits[:, :60, 8] = 100.0
    logits[:, 60:, :8] = 0.0
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item()
    assert loss == pytest.approx(10 * math.log(8) / 70, rel=1e-5)
    assert loss == pytest.approx(data.chance_level()["loss"] * 10 / 70, rel=1e-5)


@pytest.mark.parametrize("num_steps", [2, 50])
def test_the_mean_of_the_training_part_has_the_error_by_chance(num_steps: int) -> None:
    data = ready(AddingProblem, **MANY, num_steps=num_steps)
    train, val = _labelled(data.train), _labelled(data.val)
    errors = (val - train.mean()).square()
    spread = 5 * errors.std().item() / math.sqrt(len(val))
    assert data.chance_level()["mse"] == pytest.approx(errors.mean().item(), abs=spread)


def test_parity_by_chance_whatever_the_last_bits_were() -> None:
    """Who remembers the last three bits is no better off."""
    data = ready(Parity, **MANY)
    batch = everything(data.val)
    assert batch.targets is not None
    x, rows = batch.inputs[..., 0].long(), np.arange(4000)
    last = batch.lengths.numpy() - 1
    seen = 4 * x[rows, last - 2] + 2 * x[rows, last - 1] + x[rows, last]
    targets = batch.targets[rows, last]
    for bits in range(8):
        among = targets[seen == bits].float()
        assert among.mean().item() == pytest.approx(0.5, abs=5 / (2 * math.sqrt(len(among))))


def test_digits_by_chance() -> None:
    data = Digits()
    data.setup("fit")
    train, val = (_labelled(part) for part in (data.train, data.val))
    always = train.bincount().argmax()
    assert data.chance_level() == {"accuracy": 0.1}
    assert (val == always).float().mean().item() == pytest.approx(0.1, abs=0.05)


def test_where_nobody_knows_it_nothing_is_said() -> None:
    assert NextWord().chance_level() == {}
    assert SyntheticSequences().chance_level() == {}
