"""A split as a whole, for methods that want all sequences at once: the same ones as in the batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnn_lightning import IMDb, NextWord, SyntheticSequences
from rnn_lightning.data.base import SequenceData
from rnn_lightning.data.next_word import SENTENCE

BOOK = "one two three two one four. " * 90


def _ready(data: SequenceData) -> SequenceData:
    data.setup("fit")
    return data


@pytest.mark.parametrize("num_classes", [2, 5, 0])
@pytest.mark.parametrize("count", [1, 1024, 1500], ids=lambda count: f"{count} sequences")
def test_features_are_those_of_the_batches(num_classes: int, count: int) -> None:
    data = _ready(SyntheticSequences(count, 3, 2, min_steps=1, num_steps=7, num_classes=num_classes))
    for split in (data.train, data.val, data.test):
        whole = split.whole()
        assert len(whole.offsets) == len(split) + 1
        assert whole.offsets[-1] == len(whole.values)
        for row in range(0, len(split), 97):
            batch = split[row]
            start, end = whole.offsets[row : row + 2]
            np.testing.assert_array_equal(whole.values[start:end], batch.inputs[0, : batch.lengths[0]])
            assert whole.targets[row] == batch.targets[0]
        assert whole.targets.dtype == (np.int64 if num_classes else np.float32)


@pytest.mark.parametrize("path", [None, "book.txt"])
def test_a_text_has_the_next_token_at_each_step(tmp_path: Path, path: str | None) -> None:
    if path is not None:
        (tmp_path / path).write_text(BOOK)
    data = NextWord(None if path is None else str(tmp_path / path), num_steps=16, vocab_size=4)
    data.setup("fit")
    assert data.facts.encoder is not None
    (ids,) = data.facts.encoder.encode([SENTENCE if path is None else BOOK])
    for name, (start, end) in data.parts.items():
        split, tokens = getattr(data, name), ids[start:end]
        whole = split.whole()
        np.testing.assert_array_equal(whole.values, tokens[:-1])
        np.testing.assert_array_equal(whole.targets, tokens[1:])
        np.testing.assert_array_equal(np.diff(whole.offsets), split.lengths)


def test_reviews_come_at_full_length_and_with_their_rare_words(archive: Path) -> None:
    """Whatever is cut off and made unknown for a network."""
    short = _ready(IMDb(str(archive), vocab_size=3, max_length=2))
    long = _ready(IMDb(str(archive), vocab_size=10_000, max_length=None))
    for part, other in zip((short.train, short.val, short.test), (long.train, long.val, long.test), strict=True):
        whole, again = part.whole(), other.whole()
        for one, two in zip(whole, again, strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(np.diff(whole.offsets), other.lengths)
        batch = other.__getitems__(list(range(len(other))))
        np.testing.assert_array_equal(whole.targets, batch.targets)
    # Two ids of a split are one word exactly where they are one word of the vocabulary that has them all.
    whole, words = long.train.whole(), [long.train[row] for row in range(len(long.train))]
    flat = np.concatenate([batch.inputs[0, : batch.lengths[0]] for batch in words])
    pairs = set(zip(whole.values.tolist(), flat.tolist(), strict=True))
    assert len(pairs) == len(set(whole.values.tolist())) == len(set(flat.tolist()))


def test_an_empty_review_is_one_without_a_step(archive: Path) -> None:
    whole = _ready(IMDb(str(archive))).test.whole()
    assert (np.diff(whole.offsets) == 0).sum() == 1
