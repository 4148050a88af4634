from __future__ import annotations

from typing import Any

import pytest

from rnn_lightning import Parity
from rnn_lightning.batch import NO_LABEL, Batch
from tests.data.kinds import everything, ready


def _checked(batch: Batch, unlabelled: int) -> set[int]:
    """Holds each sequence's classes to counting, and gives the lengths that occur."""
    assert batch.targets is not None
    for x, length, targets in zip(batch.inputs, batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        bits = x[:length, 0].tolist()
        assert set(bits) <= {0.0, 1.0}
        wanted = [int(sum(bits[: step + 1])) % 2 for step in range(length)]
        assert targets[unlabelled:length] == wanted[unlabelled:]
        assert set(targets[:unlabelled]) <= {NO_LABEL}
    return set(batch.lengths.tolist())


def test_the_class_of_a_step_is_the_parity_of_the_ones_so_far() -> None:
    data = ready(Parity, num_train=2000, num_val=3000, num_test=3000)
    assert (data.facts.input_size, data.facts.labels, data.facts.per_step) == (1, ("even", "odd"), True)
    assert _checked(everything(data.train), 0) == set(range(3, 41))
    assert _checked(everything(data.val), 40) == set(range(41, 257))
    assert _checked(everything(data.test), 40) == set(range(41, 257))


def test_lengths_are_knobs() -> None:
    data = ready(Parity, min_steps=2, max_steps=2, test_steps=4)
    assert _checked(everything(data.train), 0) == {2}
    assert _checked(everything(data.val), 2) == {3, 4}


def test_every_sequence_of_the_test_part_has_a_label() -> None:
    data = ready(Parity, num_test=500)
    batch = everything(data.test)
    assert batch.targets is not None
    assert ((batch.targets != NO_LABEL).sum(1) == batch.lengths - 40).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_steps": 0}, "min_steps is 0; it must be at least 1"),
        ({"max_steps": 2}, "max_steps is 2, below min_steps, which is 3"),
        ({"test_steps": 40}, "test_steps is 40; it must be above max_steps, which is 40"),
    ],
)
def test_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Parity(**options)
