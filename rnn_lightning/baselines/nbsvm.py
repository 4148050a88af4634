"""A linear support vector machine on n-grams that are weighted as naive Bayes would (NB-SVM).

    r = log((1 + n) / |1 + n|) - log((1 + m) / |1 + m|)

The n-grams of a text are 1 where they stand in it, however often: the vector f. Of each of them n is in how many texts
of a class it stands, m in how many others, and |.| is a sum over all n-grams. The machine sees r f, and its line has
the slopes w: an n-gram adds w r (Wang and Manning 2012, https://aclanthology.org/P12-2018). Of more than two classes
each is held against all others.

S texts, G known n-grams, K folds, L classes, C lines: 1 for two classes, else one a class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from rnn_lightning.batch import UNKNOWN, Ragged

Array = np.ndarray[Any, Any]

_LEAST = 3
"""Training texts in which an n-gram must occur."""
_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
"""Values of C to choose from on the validation part: the higher, the closer to the training part."""
_FOLDS = 5


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


class CrossFit(NamedTuple):
    """The lines once more, each fitted without a part of the training texts.

    Attributes:
        lines: of each fold, fitted on all other folds (K).
        folds: which fold each training text is in (S,).
    """

    lines: list[Lines]
    folds: Array


class NBSVM:
    """Fitted on training texts, with the penalty that has the least cross-entropy on validation.

    There the logits are calibrated too: one scale, and an offset for each line.

    Args:
        train: texts as token ids.
        val: texts on which the penalty is chosen, and what is sure is told from what is not.
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
        calibrations = [_calibration(lines(others), self._classes(val.targets)) for lines in fitted]
        best = min(range(len(fitted)), key=lambda index: calibrations[index].loss)
        self.penalty = _PENALTIES[best]
        self.calibration = calibrations[best]
        self.lines = self.calibration.applied(fitted[best])

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

    def cross_fit(self, train: Ragged) -> CrossFit:
        """Fits the lines without each fold of the training texts in turn.

        A fold is of neighbours, class by class: where texts of one origin stand together, they are in one fold.

        Raises:
            ValueError: a class has a single text.
        """
        counts = self._counts(train)
        number = min(_FOLDS, int(np.bincount(np.searchsorted(self.labels, train.targets)).min()))
        if number < 2:
            raise ValueError("a class has a single training text: none is left to learn from where that is held out")
        lines, folds = [], np.zeros(len(train.targets), np.uint8)
        for fold, (rest, held) in enumerate(StratifiedKFold(number).split(folds, train.targets)):
            fitted = _fitted(counts[rest], train.targets[rest], self.labels, self.penalty)
            lines.append(self.calibration.applied(fitted))
            folds[held] = fold
        return CrossFit(lines, folds)

    def _classes(self, targets: Array) -> Array:
        """1 for the class of each text (S, L)."""
        return np.asarray(targets[:, None] == self.labels, float)

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


class _Calibration(NamedTuple):
    """What makes logits of scores, and the cross-entropy that is left then."""

    scale: float
    offsets: Array
    loss: float

    def applied(self, lines: Lines) -> Lines:
        return Lines(self.scale * lines.weights, self.scale * lines.offsets + self.offsets)


def _calibration(scores: Array, classes: Array) -> _Calibration:
    """Fits a scale, and an offset for each line, to classes (S, L) that are known but for a text more of each class.

    So the scale stays finite even where all are right (Platt 1999, section 2.2).
    """
    counts = classes.sum(axis=0)
    targets = (classes * counts + 1) / (classes @ counts + len(counts))[:, None]
    lines = scores.shape[1]

    def loss(parameters: Array) -> tuple[float, Array]:
        log_probabilities = log_softmax(_of_all(parameters[0] * scores + parameters[1:]), axis=1)
        errors = (np.exp(log_probabilities) - targets)[:, -lines:] / len(scores)
        slopes = np.concatenate(([(errors * scores).sum()], errors.sum(axis=0)))
        return -float((targets * log_probabilities).sum()) / len(scores), slopes

    # At a scale below zero the scores would say the opposite of what the training texts taught.
    bounds = [(1e-3, None), *[(None, None)] * lines]
    found = minimize(loss, np.eye(lines + 1)[0], jac=True, method="L-BFGS-B", bounds=bounds)
    return _Calibration(float(found.x[0]), found.x[1:], float(found.fun))


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
