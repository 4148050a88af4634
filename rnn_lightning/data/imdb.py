"""The Large Movie Review Dataset: is a film review negative or positive?"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from rnn_lightning.batch import UNKNOWN, Facts, Truncate
from rnn_lightning.data.base import SequenceData, at_least
from rnn_lightning.data.corpus import Corpus, open_corpus
from rnn_lightning.data.encoded import EncodedTexts, word_counts
from rnn_lightning.data.reviews import SPLITS, UNKNOWN_FILM, locate
from rnn_lightning.text import TextEncoder, most_frequent, remap

_log = logging.getLogger("rnn_lightning")


class IMDb(SequenceData):
    """50,000 film reviews, half of them for training, each negative or positive.

    The archive is downloaded if it is not in the data folder, and split into words once. The validation part is made of
    whole films: reviews of one film resemble each other, so that knowing one helps with the next. A model that brings
    its own text encoder gets the reviews encoded with that.

    Args:
        path: the archive aclImdb_v1.tar.gz or the folder it was unpacked to; without it the data folder is searched.
        vocab_size: words in the vocabulary, the most frequent ones of the training part; all others are unknown.
        max_length: words kept of a longer review; null keeps all.
        truncate: which words to keep: the first, the last, or a quarter from the beginning and the rest from the end.
        val_fraction: share of the training reviews that is set apart for validation, at the least.
        split_seed: decides which films are set apart; the training's own seed has no part in it.
        batch_size: reviews in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "imdb"

    def __init__(
        self,
        path: str | None = None,
        vocab_size: int = 25_000,
        max_length: int | None = 400,
        truncate: Truncate = "head_tail",
        val_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers)
        at_least("vocab_size", vocab_size, 1)
        at_least("max_length", max_length, 1)
        at_least("split_seed", split_seed, 0)
        if truncate not in ("head", "tail", "head_tail"):
            raise ValueError(f"truncate is '{truncate}', not one of head, tail, head_tail")
        if not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
        self.path = path
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.truncate: Truncate = truncate
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.corpus: Corpus | None = None

    def prepare_data(self) -> None:
        """Downloads the archive and splits it into words, unless that was done before.

        Raises:
            ValueError: the reviews cannot be found, downloaded or read, or the cache folder cannot be written.
        """
        open_corpus(locate(self.path))

    def setup(self, stage: str) -> None:
        """Makes the three splits, encoded for the model at work.

        Raises:
            ValueError: as in `prepare_data`, or no training reviews are left beside the validation part.
        """
        if self.corpus is None:
            self.corpus = open_corpus(locate(self.path))
        corpus = self.corpus
        train, val = self._split(corpus)
        counts = word_counts(corpus, train)
        words = most_frequent(corpus.words, counts, self.vocab_size)
        encoder = self.model_encoder or TextEncoder(words, self.max_length, self.truncate)
        new_ids = remap(corpus.words, encoder.words)
        self.coverage = float(counts[new_ids != UNKNOWN].sum() / counts.sum())
        self.facts = Facts(None, ("negative", "positive"), encoder)
        test = np.flatnonzero(corpus.splits == SPLITS.index("test"))
        self.train, self.val, self.test = (
            EncodedTexts(corpus, corpus.labels, rows, new_ids, encoder) for rows in (train, val, test)
        )

    def summary(self) -> str:
        """What `setup` made, in one line."""
        encoder = self.facts.encoder
        assert encoder is not None
        assert self.corpus is not None
        parts = {"train": len(self.train), "validation": len(self.val), "test": len(self.test)}
        sizes = " / ".join(f"{size:,} {part}" for part, size in parts.items())
        known = (_films(self.corpus) != UNKNOWN_FILM).all()
        return (
            f"{sum(parts.values()):,} reviews, vocabulary {len(encoder.words):,} words "
            f"({100 * self.coverage:.1f} % of the training tokens), {sizes}, "
            + ("no film in both" if known else "films unknown")
        )

    def _split(self, corpus: Corpus) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The rows of the training and of the validation reviews."""
        films = _films(corpus)
        unknown = films == UNKNOWN_FILM
        if unknown.any():
            _log.warning(
                "The films of %s training reviews are unknown (train/urls_*.txt is missing or too short): "
                "these are split review by review, so that one film can be in training and in validation",
                f"{unknown.sum():,}",
            )
        # A review of an unknown film stands for a film of its own.
        films = np.where(unknown, UNKNOWN_FILM - np.arange(len(films)), films)
        _, film, sizes = np.unique(films, return_inverse=True, return_counts=True)
        # RandomState, since numpy promises the same order from it in every version: a later run must not meet its
        # validation reviews in training.
        order = np.random.RandomState(self.split_seed).permutation(len(sizes))
        taken = np.searchsorted(np.cumsum(sizes[order]), self.val_fraction * len(films)) + 1
        in_val = np.isin(film, order[:taken])
        if in_val.all():
            raise ValueError(
                f"val_fraction {self.val_fraction} leaves no training reviews: all {len(films):,} are in validation"
            )
        rows = np.flatnonzero(corpus.splits == SPLITS.index("train"))
        return rows[~in_val], rows[in_val]


def _films(corpus: Corpus) -> np.ndarray[Any, Any]:
    films: np.ndarray[Any, Any] = corpus.films[corpus.splits == SPLITS.index("train")]
    return films
