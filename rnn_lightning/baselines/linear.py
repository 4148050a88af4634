"""Linear models of scikit-learn on sequences of features. S sequences, D features a step, T steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnn_lightning.batch import Ragged

Array = np.ndarray[Any, Any]


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
