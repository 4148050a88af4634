from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from rnn_lightning.batch import Truncate, pad_ragged

_TRUNCATE: st.SearchStrategy[Truncate] = st.sampled_from(["head", "tail", "head_tail"])


def _kept(sequence: list[Any], max_length: int | None, truncate: Truncate) -> list[Any]:
    """Truncation as one would explain it."""
    if max_length is None or len(sequence) <= max_length:
        return sequence
    if truncate == "head":
        return sequence[:max_length]
    if truncate == "tail":
        return sequence[len(sequence) - max_length :]
    head = max_length // 4
    return sequence[:head] + sequence[len(sequence) - (max_length - head) :]


def _flat(sequences: list[list[Any]]) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([len(sequence) for sequence in sequences], np.int64)
    return np.cumsum(sizes) - sizes, sizes


@given(
    st.lists(st.lists(st.integers(1, 99), max_size=30), min_size=1, max_size=6),
    st.none() | st.integers(1, 20),
    _TRUNCATE,
)
def test_cuts_and_pads_like_a_plain_loop(
    sequences: list[list[int]], max_length: int | None, truncate: Truncate
) -> None:
    starts, sizes = _flat(sequences)
    values = np.array([value for sequence in sequences for value in sequence], np.int32)
    padded, lengths = pad_ragged(values, starts, sizes, max_length, truncate)
    kept = [_kept(sequence, max_length, truncate) for sequence in sequences]
    steps = max(1, *map(len, kept)) if kept else 1
    assert lengths.tolist() == [len(sequence) for sequence in kept]
    assert padded.tolist() == [sequence + [0] * (steps - len(sequence)) for sequence in kept]
    assert lengths.dtype == np.int64
    assert padded.dtype == np.int32


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(1, 3), st.data())
def test_sequences_of_features(sizes: list[int], features: int, data: st.DataObject) -> None:
    values = data.draw(np_st.arrays(np.float32, (sum(sizes), features), elements=st.floats(1, 9, width=32)))
    starts = np.cumsum(sizes) - sizes
    padded, _ = pad_ragged(values, starts, np.array(sizes))
    assert padded.shape == (len(sizes), max(1, *sizes), features)
    for row, start, size in zip(padded, starts, sizes, strict=True):
        assert (row[:size] == values[start : start + size]).all()
        assert not row[size:].any()


@given(st.lists(st.lists(st.integers(1, 99), max_size=8), min_size=1, max_size=6), st.data())
def test_any_choice_in_any_order(sequences: list[list[int]], data: st.DataObject) -> None:
    starts, sizes = _flat(sequences)
    values = np.array([value for sequence in sequences for value in sequence], np.int64)
    rows = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=8))
    padded, lengths = pad_ragged(values, starts[rows], sizes[rows])
    assert [row[:size].tolist() for row, size in zip(padded, lengths, strict=True)] == [sequences[i] for i in rows]


def test_nothing_at_all() -> None:
    padded, lengths = pad_ragged(np.zeros(0, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64), 5, "head_tail")
    assert padded.tolist() == [[0], [0]]
    assert lengths.tolist() == [0, 0]


def test_head_tail_keeps_a_quarter_of_the_beginning() -> None:
    padded, _ = pad_ragged(np.arange(1, 21), np.array([0]), np.array([20]), 8, "head_tail")
    assert padded.tolist() == [[1, 2, 15, 16, 17, 18, 19, 20]]
