"""A linear support vector machine on n-grams that are weighted as naive Bayes would (NB-SVM).

    r = log((1 + n) / |1 + n|) - log((1 + m) / |1 + m|)

The n-grams of a text are 1 where they stand in it, however often: the vector f. Of each of them n is in how many texts
of a class it stands, m in how many others, and |.| is a sum over all n-grams. The machine sees r f, and its line has
the slopes w: an n-gram adds w r (Wang and Manning 2012, https://aclanthology.org/P12-2018). Of more than two classes
each is held against all others.

S texts, G known n-grams, L classes, C lines: 1 for two classes, else one a class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.svm import LinearSVC

from rnn_lightning.batch import UNKNOWN, Ragged
from rnn_lightning.stacking import weigh

Array = np.ndarray[Any, Any]

_LEAST = 3
"""Training texts in which an n-gram must occur."""
_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
"""Values of C to choose from on the validation part: the higher, the closer to the training part."""


class Lines(NamedTuple):
    """What each n-gram adds to the logits.

    Attributes:
        weights: of the n-grams (G, C).
        offsets: the logits of a text without any (C,).
    """

    weights: Array
    offsets: Array

    def __call__(self, counts: csr_array) -> Array:
        """The logits (S, C) of texts with these n-grams (S, G)."""
        return np.asarray(counts @ self.weights + self.offsets)


class NBSVM:
    """Fitted on training texts, with the penalty that has the least cross-entropy on validation.

    There the logits get a scale and offsets too, so that they say how sure they are.

    Args:
        train: texts as token ids.
        val: texts on which the penalty is chosen, and the scale.
        longest: tokens in the longest n-gram.

    Attributes:
        labels: the classes that occur in training (L,).
        words: the token ids that occur in an n-gram, sorted; token i has the digit i + 2 in a key.
        keys: numbers of the known n-grams, as in `rnn_lightning.layers.ngrams` (G,).
        penalty: the chosen one.
        lines: what the n-grams add to the logits.
    """

    def __init__(self, train: Ragged, val: Ragged, longest: int = 2) -> None:
        self.longest = longest
        self.labels = np.unique(train.targets)
        rows, ids = _rows(train), train.values.astype(np.int64)
        texts_with = _table(rows, ids, len(train.targets), int(ids.max()) + 1).sum(axis=0)
        texts_with[: UNKNOWN + 1] = 0
        least = _LEAST if texts_with.max() >= _LEAST else 1
        self.words = np.flatnonzero(texts_with >= least)
        rows, keys = self._ngrams(train)
        known, columns = np.unique(keys, return_inverse=True)
        counts = _table(rows, columns, len(train.targets), len(known))
        frequent = counts.sum(axis=0) >= least
        self.keys, counts = known[frequent], counts[:, frequent]

        others = self._counts(val)
        fitted = [_fitted(counts, train.targets, self.labels, penalty) for penalty in _PENALTIES]
        classes = torch.from_numpy(np.searchsorted(self.labels, val.targets))
        weighed = [weigh(torch.from_numpy(lines(others)).unsqueeze(0), classes) for lines in fitted]
        best = min(range(len(fitted)), key=lambda index: weighed[index].loss)
        self.penalty, scale, offsets = _PENALTIES[best], weighed[best].scales.item(), weighed[best].offsets.numpy()
        self.lines = Lines(scale * fitted[best].weights, scale * fitted[best].offsets + offsets)

    def logits(self, texts: Ragged) -> Array:
        """A number for each text and line (S, C)."""
        return self.lines(self._counts(texts))

    def predict(self, texts: Ragged) -> Array:
        """A class for each text (S,)."""
        return np.asarray(self.labels[_of_all(self.logits(texts)).argmax(1)])

    def losses(self, texts: Ragged) -> Array:
        """The cross-entropy of each text (S,)."""
        log_probabilities = log_softmax(_of_all(self.logits(texts)), axis=1)
        return np.asarray(
            -log_probabilities[np.arange(len(texts.targets)), np.searchsorted(self.labels, texts.targets)]
        )

    def _counts(self, texts: Ragged) -> csr_array:
        """Which of the known n-grams stand in each text (S, G)."""
        rows, keys = self._ngrams(texts)
        columns = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        there = self.keys[columns] == keys
        return _table(rows[there], columns[there], len(texts.targets), len(self.keys))

    def _ngrams(self, texts: Ragged) -> tuple[Array, Array]:
        """Every n-gram of known words, as the text's row and its key."""
        digits = np.full(self.words.max() + 2, UNKNOWN, np.int64)
        digits[self.words] = np.arange(len(self.words)) + UNKNOWN + 1
        rows, ids = _rows(texts), digits[np.minimum(texts.values.astype(np.int64), len(digits) - 1)]
        base, known = len(self.words) + UNKNOWN + 1, ids > UNKNOWN
        keys, whole = ids, known
        found = [(rows[whole], keys[whole])]
        for more in range(1, self.longest):
            keys = keys[:-1] * base + ids[more:]
            whole = whole[:-1] & known[more:] & (rows[:-more] == rows[more:])
            found.append((rows[:-more][whole], keys[whole]))
        return np.concatenate([part for part, _ in found]), np.concatenate([part for _, part in found])


def _of_all(logits: Array) -> Array:
    """Logits of all classes (S, L): a single line is between the first class and the second."""
    return np.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits


def _fitted(counts: csr_array, targets: Array, labels: Array, penalty: float) -> Lines:
    """The lines for texts with these n-grams (S, G) and classes (S,)."""
    members = [targets == label for label in (labels[1:] if len(labels) == 2 else labels)]
    weights, offsets = [], []
    for member in members:
        ratios = _log_ratio(counts, member)
        line = LinearSVC(C=penalty, random_state=0).fit(_weighted(counts, ratios), member)
        weights.append(line.coef_[0] * ratios)
        offsets.append(line.intercept_[0])
    return Lines(np.stack(weights, 1), np.array(offsets))


def _rows(texts: Ragged) -> Array:
    """The row of the text that each token is in (N,)."""
    return np.repeat(np.arange(len(texts.targets)), np.diff(texts.offsets))


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
