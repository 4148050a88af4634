"""How far a score may lie from the true one, by chance of which sequences happened to be in the split.

Every interval covers 95 %. S sequences, C classes, R resamples of the bootstrap (Efron and Tibshirani 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Interval = tuple[float, float]

_Z = 1.959964
"""The normal distribution has 95 % of its mass between -z and z."""
_RESAMPLES = 1000


def binomial(right: int, count: int) -> Interval:
    """Of a share, such as accuracy: `right` of `count` (Wilson 1927, https://doi.org/10.2307/2276774)."""
    share, spread = right / count, _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * np.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def of_mean(sums: Array, counts: Array | None = None, transform: Callable[[Array], Array] = np.asarray) -> Interval:
    """Of a mean over sequences, or over their tokens, by resampling whole sequences.

    Args:
        sums: what each sequence adds (S,).
        counts: how many tokens it has (S,); None: each sequence counts once.
        transform: what is made of the mean, such as its exponential.
    """
    counts = np.ones(len(sums)) if counts is None else counts
    means = [weights @ sums / (weights @ counts) for weights in _resamples(len(sums))]
    return _middle(transform(np.array(means)))


def of_macro_f1(confusion: Array) -> Interval:
    """Of the F1 score, mean over the classes, by resampling the cells of a confusion matrix (C, C), rows the truth."""
    total = int(confusion.sum())
    drawn = np.random.default_rng(0).multinomial(total, confusion.ravel() / total, _RESAMPLES)
    return _middle(macro_f1(drawn.reshape(_RESAMPLES, *confusion.shape)))


def macro_f1(confusion: Array) -> Array:
    """The F1 score, mean over the classes that occur in truth or prediction, of confusion matrices (..., C, C)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    sizes = confusion.sum(-1) + confusion.sum(-2)
    scores = 2 * hits / np.maximum(sizes, 1)
    return np.asarray(scores.sum(-1) / (sizes > 0).sum(-1))


def of_auroc(scores: Array, positive: Array) -> Interval:
    """Of the area under the ROC curve for two classes: scores (S,), and which sequences are positive (S,)."""
    _, rank = np.unique(scores, return_inverse=True)
    areas = []
    for weights in _resamples(len(scores)):
        above, below = (np.bincount(rank, weights * which) for which in (positive, ~positive))
        pairs = above.sum() * below.sum()
        if pairs:
            # A pair is right where the negative one ranks lower, and half right where both rank the same.
            areas.append(above @ (np.cumsum(below) - below / 2) / pairs)
    return _middle(np.array(areas))


def _resamples(size: int) -> Iterator[Array]:
    """How often each sequence is drawn, `size` at a time, with replacement; the same for every score (S,)."""
    random = np.random.default_rng(0)
    for _ in range(_RESAMPLES):
        yield np.bincount(random.integers(size, size=size), minlength=size).astype(float)


def _middle(values: Array) -> Interval:
    """Without what 5 % of the resamples are beyond."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
