from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning.batch import Batch
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.synthetic import SyntheticSequences


def _ready(**options: Any) -> SyntheticSequences:
    data = SyntheticSequences(**options)
    data.setup("fit")
    return data


def _whole(sequences: Sequences) -> Batch:
    return sequences.__getitems__(list(range(len(sequences))))


def _sums(batch: Batch) -> list[float]:
    """First feature of the first step plus that of the last step, one sequence at a time."""
    return [float(x[0, 0]) + float(x[length - 1, 0]) for x, length in zip(batch.inputs, batch.lengths, strict=True)]


def test_sizes_and_types() -> None:
    data = _ready(num_train=30, num_val=20, num_test=10, num_steps=7, input_size=4)
    assert [len(part) for part in (data.train, data.val, data.test)] == [30, 20, 10]
    batch = _whole(data.val)
    assert batch.inputs.shape == (20, 7, 4)
    assert batch.targets is not None
    assert (batch.inputs.dtype, batch.lengths.dtype, batch.targets.dtype) == (torch.float32, torch.int64, torch.int64)
    assert (data.facts.input_size, data.facts.labels, data.facts.encoder) == (4, ("0", "1"), None)


@pytest.mark.parametrize("min_steps", [None, 1, 3])
def test_two_classes_tell_the_sign_of_first_plus_last(min_steps: int | None) -> None:
    batch = _whole(_ready(num_train=500, min_steps=min_steps).train)
    assert batch.targets is not None
    assert batch.targets.tolist() == [int(total > 0) for total in _sums(batch)]


@pytest.mark.parametrize("min_steps", [None, 1])
def test_more_classes_are_intervals_of_first_plus_last(min_steps: int | None) -> None:
    batch = _whole(_ready(num_train=500, num_classes=5, min_steps=min_steps).train)
    assert batch.targets is not None
    for total, length, label in zip(_sums(batch), batch.lengths.tolist(), batch.targets.tolist(), strict=True):
        # The sum of two normal values has variance 2; twice the same value, in a sequence of one step, has 4.
        share = 0.5 * (1 + math.erf(total / math.sqrt(2) / math.sqrt(2 if length > 1 else 4)))
        assert label == pytest.approx(share * 5 - 0.5, abs=0.5 + 1e-4)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("rule", ["first_plus_last", "random"])
@pytest.mark.parametrize("min_steps", [None, 1])
def test_classes_are_equally_likely(num_classes: int, rule: Any, min_steps: int | None) -> None:
    batch = _whole(_ready(num_train=20_000, num_classes=num_classes, rule=rule, min_steps=min_steps).train)
    assert batch.targets is not None
    counts = np.bincount(batch.targets.numpy(), minlength=num_classes)
    expected = 20_000 / num_classes
    assert len(counts) == num_classes
    assert np.abs(counts - expected).max() < 5 * math.sqrt(expected)


def test_regression_is_the_sum_itself() -> None:
    data = _ready(num_train=200, num_classes=0, min_steps=1)
    batch = _whole(data.train)
    assert batch.targets is not None
    assert batch.targets.dtype == torch.float32
    assert batch.targets.tolist() == pytest.approx(_sums(batch), abs=1e-6)
    assert data.facts.labels == ()


def test_random_labels_have_nothing_to_do_with_the_sequences() -> None:
    batch = _whole(_ready(num_train=5000, rule="random").train)
    assert batch.targets is not None
    agree = np.mean(
        [int(total > 0) == label for total, label in zip(_sums(batch), batch.targets.tolist(), strict=True)]
    )
    assert abs(agree - 0.5) < 5 * 0.5 / math.sqrt(5000)


def test_own_lengths() -> None:
    data = _ready(num_train=2000, num_steps=6, min_steps=3)
    batch = _whole(data.train)
    counts = np.bincount(batch.lengths.numpy())
    assert counts[:3].sum() == 0
    assert counts[3:].min() > 400
    assert len(counts) == 7
    assert batch.lengths.tolist() == data.train.lengths.tolist()
    beyond = torch.arange(6) >= batch.lengths[:, None]
    assert not batch.inputs[beyond].any()
    assert batch.inputs[~beyond].all()


def test_batch_ends_with_its_longest_sequence() -> None:
    data = _ready(num_train=100, num_steps=6, min_steps=1)
    short = np.flatnonzero(data.train.lengths == 2)[:3].tolist()
    assert data.train.__getitems__(short).inputs.shape == (3, 2, 3)


def test_all_lengths_are_equal_without_min_steps() -> None:
    assert set(_ready(num_train=50).train.lengths.tolist()) == {5}


def test_made_from_its_own_seed() -> None:
    torch.manual_seed(1)
    first = _whole(_ready(num_train=10).train)
    torch.manual_seed(2)
    again = _whole(_ready(num_train=10).train)
    other = _whole(_ready(num_train=10, data_seed=1).train)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


def test_splits_differ() -> None:
    data = _ready(num_train=10, num_val=10, num_test=10)
    inputs = [_whole(part).inputs for part in (data.train, data.val, data.test)]
    assert not torch.equal(inputs[0], inputs[1])
    assert not torch.equal(inputs[1], inputs[2])
    assert not torch.equal(inputs[0], inputs[2])


def test_size_of_one_split_leaves_the_others_as_they_are() -> None:
    small, large = _ready(num_train=10), _ready(num_train=20)
    assert torch.equal(_whole(small.test).inputs, _whole(large.test).inputs)


def test_loaders_give_every_sequence_once() -> None:
    data = _ready(num_train=50, num_val=21, num_test=9, min_steps=1, batch_size=8)
    for loader, part in ((data.train_dataloader(), data.train), (data.val_dataloader(), data.val)):
        seen = sorted(float(row[0, 0]) for batch in loader for row in batch.inputs)
        assert seen == sorted(float(row[0, 0]) for row in _whole(part).inputs)
    own_order = torch.cat([batch.inputs[:, 0] for batch in data.predict_dataloader()])
    assert torch.equal(own_order, _whole(data.test).inputs[:, 0])


def test_one_sequence_is_a_batch_of_one() -> None:
    assert _ready(num_train=3).train[2].inputs.shape == (1, 5, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({name: 0}, f"{name} is 0; it must be at least 1") for name in ("num_train", "num_val", "num_test")),
        *(({name: 0}, f"{name} is 0; it must be at least 1") for name in ("num_steps", "input_size", "min_steps")),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"num_workers": -1}, "num_workers is -1; it must be at least 0"),
        ({"data_seed": -1}, "data_seed is -1; it must be at least 0"),
        ({"num_classes": -1}, "num_classes is -1; it must be at least 0"),
        ({"num_classes": 1}, "num_classes is 1; it must be 2 or more, or 0 for regression"),
        ({"min_steps": 6}, "min_steps is 6, above num_steps, which is 5"),
        ({"rule": "sum"}, "rule is 'sum', not one of first_plus_last, random"),
    ],
)
def test_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticSequences(**options)
