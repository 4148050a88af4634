"""The Large Movie Review Dataset: is a film review negative or positive?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnn_lightning.batch import Facts, Truncate
from rnn_lightning.data.base import at_least
from rnn_lightning.data.corpus import Corpus, open_corpus, open_unlabelled
from rnn_lightning.data.encoded import joined
from rnn_lightning.data.labelled_texts import LabelledTexts, Targets
from rnn_lightning.data.reviews import SPLITS, UNKNOWN_FILM, locate

_log = logging.getLogger("rnn_lightning")


class IMDb(LabelledTexts):
    """50,000 film reviews, half of them for training, each negative or positive.

    The archive is downloaded if it is not in the data folder, and split into words once. The validation part is made of
    whole films: reviews of one film resemble each other, so that knowing one helps with the next. A model that brings
    its own text encoder gets the reviews encoded with that.

    Args:
        path: the archive aclImdb_v1.tar.gz or the folder it was unpacked to; without it the data folder is searched.
        vocab_size: words in the vocabulary, the most frequent ones of the training part; all others are unknown.
        max_length: words kept of a longer review; null keeps all.
        truncate: which words to keep: the first, the last, or a quarter from the beginning and the rest from the end.
        unlabelled: take the 50,000 reviews without a label too, but for those that also stand in validation or test:
            for the vocabulary, for a language model to read, and for a teacher to label.
        targets: what is learnt: the labels, or, of all reviews one after the other, the next token at each step, for a
            LanguageModel, or the previous one, from the end to the beginning.
        num_steps: words of a window, where the targets are tokens.
        teacher: a classifier, as a run (its folder, or its name under runs/) or a checkpoint, that labels the texts
            without a label; these are learnt from too then.
        teacher_weight: its share in the targets of texts that have a label.
        temperature: above 1, its answers are taken to be less certain than they are.
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
        unlabelled: bool = False,
        targets: Targets = "labels",
        num_steps: int = 128,
        teacher: str | None = None,
        teacher_weight: float = 0.0,
        temperature: float = 1.0,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, num_workers)
        self._check_texts(
            *(vocab_size, max_length, truncate, targets, num_steps), *(teacher, teacher_weight, temperature)
        )
        at_least("split_seed", split_seed, 0)
        if not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
        self.name = self._named(self.name, targets)
        self.path = path
        self.unlabelled = unlabelled
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.corpus: Corpus | None = None

    @classmethod
    def name_with(cls, options: Mapping[str, Any]) -> str:
        """What the reviews are called in run folders."""
        return cls._named(cls.name, options.get("targets", "labels"))

    def prepare_data(self) -> None:
        """Downloads the archive and splits it into words, unless that was done before.

        Raises:
            ValueError: the reviews cannot be found, downloaded or read, or the cache folder cannot be written.
        """
        path = locate(self.path)
        open_corpus(path)
        if self.unlabelled:
            open_unlabelled(path)

    def setup(self, stage: str) -> None:
        """Makes the three splits, encoded for the model at work.

        Raises:
            ValueError: as in `prepare_data`, or no training reviews are left beside the validation part.
        """
        if self.corpus is None:
            self.corpus = open_corpus(locate(self.path))
        corpus, count = self.corpus, len(self.corpus.labels)
        train, val = self._split(corpus)
        test = np.flatnonzero(corpus.splits == SPLITS.index("test"))
        tokens = joined(corpus, open_unlabelled(locate(self.path))) if self.unlabelled else corpus
        further = np.arange(count, len(tokens.offsets) - 1)
        facts = Facts(None, ("negative", "positive"))
        self._arrange(stage, tokens, corpus.labels, {"train": train, "val": val, "test": test}, further, facts)

    def summary(self) -> str:
        """What `setup` made, in one line."""
        assert self.corpus is not None
        films = "no film in both" if (_films(self.corpus) != UNKNOWN_FILM).all() else "films unknown"
        reviews = f"{len(self.corpus.labels):,} reviews, {self._vocabulary()}"
        return f"{reviews}, {self._sizes('')}, {films}"

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
