"""The film reviews that the benchmarks work on; for a quick look, or without them, sequences of the same lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_lightning.batch import Batch

if TYPE_CHECKING:
    from rnn_lightning import IMDb
    from rnn_lightning.data.corpus import Corpus

_MEDIAN, _SPREAD = 201, 0.75
"""Of the reviews' lengths: a log-normal distribution with the median and the ninth decile of the real ones."""
_NUM_WORDS = 40_000


def reviews(quick: bool, **options: Any) -> tuple[IMDb, str]:
    """IMDb, set up, and what it holds: its own reviews if they are in the data folder, else generated ones."""
    # Imported here, so that processes with nothing but a network in them do not pay for it.
    from rnn_lightning import IMDb
    from rnn_lightning.data.reviews import ARCHIVE, data_folder

    data = IMDb(**options)
    real = not quick and (data_folder() / ARCHIVE).is_file()
    if real:
        data.prepare_data()
    else:
        data.corpus = _generated(16_384)
    data.setup("fit")
    return data, "IMDb" if real else "generated"


def typical(data: IMDb, count: int) -> tuple[list[Batch], list[Batch]]:
    """Some batches that stand for a whole epoch of training.

    Returns:
        Batches of similar length, evenly picked from short to long; and the same reviews in batches at random.
    """
    batches = [indices for indices in data.train_dataloader().batch_sampler if len(indices) == data.batch_size]
    batches.sort(key=lambda indices: int(data.train.lengths[indices].sum()))
    picked = [batches[int((i + 0.5) / count * len(batches))] for i in range(count)]
    mixed = np.random.default_rng(0).permutation(np.concatenate(picked)).reshape(count, -1)
    return [data.train.__getitems__(indices) for indices in picked], [data.train.__getitems__(row) for row in mixed]


def tokens(batches: list[Batch]) -> int:
    """How many there are, without padding."""
    return int(sum(batch.lengths.sum() for batch in batches))


def _generated(count: int) -> Corpus:
    from rnn_lightning.data.corpus import Corpus

    random = np.random.default_rng(0)
    sizes = np.maximum(random.lognormal(np.log(_MEDIAN), _SPREAD, count), 10).astype(np.int64)
    # By Zipf's law: how often a word occurs goes down as its rank goes up.
    frequency = 1 / np.arange(3, _NUM_WORDS + 3)
    ids = random.choice(_NUM_WORDS, int(sizes.sum()), p=frequency / frequency.sum()).astype(np.int32) + 2
    words = [f"w{number:05}" for number in range(_NUM_WORDS)]
    labels, numbers = random.integers(0, 2, count), np.arange(count)
    return Corpus(words, ids, np.concatenate(([0], np.cumsum(sizes))), labels, numbers % 2, numbers, numbers)
