"""What holds for every data set that is made from a seed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning.batch import NO_LABEL, Batch
from rnn_lightning.data.base import SequenceData
from rnn_lightning.data.seeded import SeededSequences
from tests.data.kinds import KINDS, everything, ready

EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def _splits(data: SequenceData) -> list[Batch]:
    return [everything(part) for part in (data.train, data.val, data.test)]


def _equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(*pair) for pair in zip(one[:3], other[:3], strict=True))  # type: ignore[arg-type]


@EACH
def test_sizes_and_types(kind: Any) -> None:
    data = ready(kind)
    for size, batch in zip((40, 30, 20), _splits(data), strict=True):
        assert batch.targets is not None
        assert batch.inputs.shape == (size, int(batch.lengths.max()), data.facts.input_size)
        assert (batch.inputs.dtype, batch.lengths.dtype) == (torch.float32, torch.int64)
        assert batch.targets.dtype == (torch.int64 if data.facts.labels else torch.float32)
        assert batch.targets.shape == (batch.inputs.shape[:2] if data.facts.per_step else (size,))
        if data.facts.labels:
            assert set(batch.targets.unique().tolist()) <= {NO_LABEL, *range(len(data.facts.labels))}


@EACH
def test_the_same_seed_makes_the_same_sequences_whatever_the_seed_of_the_training(kind: Any) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    first = _splits(ready(kind))
    torch.manual_seed(2)
    np.random.seed(2)
    again, other = _splits(ready(kind)), _splits(ready(kind, data_seed=1))
    for one, same, different in zip(first, again, other, strict=True):
        assert _equal(one, same)
        assert not _equal(one, different)


@EACH
def test_making_them_draws_none_of_the_trainings_random_numbers(kind: Any) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    wanted = torch.rand(1), np.random.rand()
    torch.manual_seed(3)
    np.random.seed(3)
    ready(kind)
    assert (torch.rand(1), np.random.rand()) == wanted


@EACH
def test_the_splits_have_no_sequence_in_common(kind: Any) -> None:
    seen: set[bytes] = set()
    for batch in _splits(ready(kind)):
        own = {x[:length].numpy().tobytes() for x, length in zip(batch.inputs, batch.lengths.tolist(), strict=True)}
        assert not own & seen
        seen |= own


@EACH
def test_the_size_of_one_split_leaves_the_others_as_they_are(kind: Any) -> None:
    small, large = _splits(ready(kind)), _splits(ready(kind, num_train=50))
    assert _equal(small[1], large[1])
    assert _equal(small[2], large[2])


@EACH
def test_a_part_of_a_split_is_that_part_of_the_whole(kind: Any) -> None:
    data = ready(kind)
    whole, rows = everything(data.test), [3, 17, 4]
    part = data.test.__getitems__(rows)
    steps = int(part.lengths.max())
    assert part.inputs.shape[1] == steps
    assert torch.equal(part.inputs, whole.inputs[rows, :steps])
    assert torch.equal(part.lengths, whole.lengths[rows])
    assert part.targets is not None
    assert whole.targets is not None
    assert torch.equal(part.targets, whole.targets[rows][:, :steps] if data.facts.per_step else whole.targets[rows])


@EACH
def test_beyond_a_length_there_is_nothing(kind: Any) -> None:
    data = ready(kind)
    for batch in _splits(data):
        beyond = torch.arange(batch.inputs.size(1)) >= batch.lengths[:, None]
        assert not batch.inputs[beyond].any()
        if data.facts.per_step:
            assert batch.targets is not None
            assert (batch.targets[beyond] == NO_LABEL).all()


@EACH
@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        *((name, 0, 1) for name in ("num_train", "num_val", "num_test", "batch_size")),
        ("data_seed", -1, 0),
        ("num_workers", -1, 0),
    ],
)
def test_a_number_that_is_too_small_is_refused(kind: Any, option: str, value: int, least: int) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{option} is {value}; it must be at least {least}')}$"):
        kind(**{option: value})


def test_symbols_are_features_and_padding_is_none() -> None:
    x = np.array([[0, 2, 1], [1, 3, 3]], np.uint8)
    sequences = SeededSequences(x, np.array([3, 1]), np.array([0, 1]), num_symbols=3)
    batch = sequences.__getitems__([0, 1])
    assert batch.inputs.tolist() == [[[1, 0, 0], [0, 0, 1], [0, 1, 0]], [[0, 1, 0], [0, 0, 0], [0, 0, 0]]]
    assert sequences.__getitems__([1]).inputs.tolist() == [[[0, 1, 0]]]
