"""Linear models of scikit-learn. S sequences, D features a step, G different n-grams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from rnn_lightning.batch import Ragged

Array = np.ndarray[Any, Any]

_LEAST = 3
"""Training texts in which an n-gram must occur."""
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Values of C to choose from on the validation part: the higher, the closer to the training part."""


def means(sequences: Ragged) -> Array:
    """The mean of each feature over a sequence's steps (S, D); zero for a sequence without any."""
    sums = np.pad(np.cumsum(sequences.values, 0, dtype=float), ((1, 0), (0, 0)))
    sizes = np.diff(sequences.offsets)
    return np.asarray(np.diff(sums[sequences.offsets], axis=0) / np.maximum(sizes, 1)[:, None])


def all_steps(sequences: Ragged) -> Array:
    """Each feature of each step, (S, T D), of sequences that all have T steps."""
    return sequences.values.reshape(len(sequences.targets), -1)


class Linear:
    """Logistic regression, or linear regression for numbers, on a vector of features for each sequence.

    Args:
        train: sequences of features.
        regression: the targets are numbers, not classes.
        features: makes the vectors (S, ...): `means` or `all_steps`.
    """

    def __init__(self, train: Ragged, regression: bool, features: Callable[[Ragged], Array]) -> None:
        last = LinearRegression() if regression else LogisticRegression(max_iter=1000)
        self.features = features
        self.model = make_pipeline(StandardScaler(), last).fit(features(train), train.targets)

    def predict(self, sequences: Ragged) -> Array:
        """A class or a number for each sequence (S,)."""
        return np.asarray(self.model.predict(self.features(sequences)))


class NBSVM:
    """A linear support vector machine on the words and pairs of words of a text, weighted as naive Bayes would.

    A word counts once a text. Its weight is the logarithm of how much more frequent it is in texts of a class than in
    all others (Wang and Manning 2012, https://aclanthology.org/P12-2018). More than two classes are each held against
    all others.

    Args:
        train: texts as token ids.
        val: texts on which the penalty is chosen.
    """

    def __init__(self, train: Ragged, val: Ragged) -> None:
        self.size = int(train.values.max()) + 1
        rows, keys = _ngrams(train, self.size)
        known, columns = np.unique(keys, return_inverse=True)
        counts = _table(rows, columns, len(train.targets), len(known))
        frequent = counts.sum(axis=0) >= _LEAST
        kept = frequent if frequent.any() else ~frequent
        self.known, counts = known[kept], counts[:, kept]
        self.labels = np.unique(train.targets)
        # Two classes have one line between them, more have one around each.
        members = [train.targets == label for label in (self.labels[1:] if len(self.labels) == 2 else self.labels)]
        self.ratios = [_log_ratio(counts, member) for member in members]
        weighted = [_weighted(counts, ratios) for ratios in self.ratios]
        tried = [
            [LinearSVC(C=penalty, random_state=0).fit(x, y) for x, y in zip(weighted, members, strict=True)]
            for penalty in _PENALTIES
        ]
        others = self._counts(val)
        self.lines = max(tried, key=lambda lines: np.mean(self._chosen(lines, others) == val.targets))

    def predict(self, texts: Ragged) -> Array:
        """A class for each text (S,)."""
        return self._chosen(self.lines, self._counts(texts))

    def _counts(self, texts: Ragged) -> csr_array:
        """Which of the known n-grams stand in each text (S, G)."""
        rows, keys = _ngrams(texts, self.size)
        columns = np.searchsorted(self.known, keys).clip(max=len(self.known) - 1)
        there = self.known[columns] == keys
        return _table(rows[there], columns[there], len(texts.targets), len(self.known))

    def _chosen(self, lines: list[LinearSVC], counts: csr_array) -> Array:
        pairs = zip(lines, self.ratios, strict=True)
        scores = [line.decision_function(_weighted(counts, ratios)) for line, ratios in pairs]
        best = (scores[0] > 0).astype(int) if len(scores) == 1 else np.argmax(scores, 0)
        return np.asarray(self.labels[best])


def _ngrams(texts: Ragged, size: int) -> tuple[Array, Array]:
    """Every word, and every pair of neighbours in a text, as the text's row and a number of its own."""
    rows = np.repeat(np.arange(len(texts.targets)), np.diff(texts.offsets))
    ids = texts.values.astype(np.int64)
    # Words have the numbers below `size`, pairs those from there on; a word that nobody has seen is as good as another.
    ids = np.minimum(ids, size)
    pairs = (ids[:-1] + 1) * (size + 1) + ids[1:]
    together = rows[1:] == rows[:-1]
    return np.concatenate((rows, rows[1:][together])), np.concatenate((ids, pairs[together]))


def _table(rows: Array, columns: Array, height: int, width: int) -> csr_array:
    """1 where a text has an n-gram, however often (S, G)."""
    place = rows.astype(np.int32), columns.astype(np.int32)  # scikit-learn takes no larger ones
    table = csr_array((np.ones(len(rows), np.float32), place), shape=(height, width))
    table.data[:] = 1.0
    return table


def _weighted(counts: csr_array, ratios: Array) -> csr_array:
    """Each n-gram's column times its ratio (S, G)."""
    return csr_array((counts.data * ratios[counts.indices], counts.indices, counts.indptr), shape=counts.shape)


def _log_ratio(counts: csr_array, positive: Array) -> Array:
    """How much more frequent each n-gram is in the positive texts than in the others (G,)."""
    inside, outside = (1.0 + counts[which].sum(axis=0) for which in (positive, ~positive))
    ratios = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return np.asarray(ratios, np.float32)
