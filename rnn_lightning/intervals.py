"""How far a score may lie from the true one, by chance of which sequences happened to be in the split.

Every interval covers 95 %. All but that of a share come from resampling (the bootstrap's percentiles, Efron and
Tibshirani 1993), which knows nothing beyond the split: where all sequences came out alike, or there is only one, the
interval has no width. The order of the sequences, which depends on batches and processes, makes no difference.
S sequences.
"""

from __future__ import annotations

import math
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
    half = _Z * math.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    # With none or all right the share itself is the end, but for rounding.
    return (middle - half if right else 0.0), (middle + half if right < count else 1.0)


def of_mean(sums: Array, counts: Array | None = None, transform: Callable[[Array], Array] = np.asarray) -> Interval:
    """Of a mean over sequences, or over their tokens, by resampling whole sequences.

    Args:
        sums: what each sequence adds (S,).
        counts: how many tokens it has (S,); None: each sequence counts once.
        transform: what is made of the mean, such as its exponential.
    """
    counts = np.ones(len(sums)) if counts is None else counts
    order = np.lexsort((sums, counts))
    sums, counts = sums[order], counts[order]
    means = [weights @ sums / (weights @ counts) for weights in _resamples(len(sums))]
    return _middle(transform(np.array(means)))


def of_macro_f1(chosen: Array, targets: Array) -> Interval:
    """Of the F1 score, mean over the classes that occur: classes predicted and true ones (S,)."""
    order = np.lexsort((chosen, targets))
    chosen, targets = chosen[order], targets[order]
    scores = np.array([_macro_f1(chosen, targets, weights) for weights in _resamples(len(targets))])
    # Resamples miss sequences of small classes and score lower for it: with many such classes all of them do.
    scores += _macro_f1(chosen, targets, np.ones(len(targets))) - scores.mean()
    return _middle(scores.clip(0.0, 1.0))


def of_auroc(scores: Array, positive: Array) -> Interval:
    """Of the area under the ROC curve for two classes: scores (S,), and which sequences are positive (S,)."""
    order = np.lexsort((scores, positive))
    positive, (_, rank) = positive[order], np.unique(scores[order], return_inverse=True)
    areas = []
    for weights in _resamples(len(scores)):
        above, below = (np.bincount(rank, weights * which) for which in (positive, ~positive))
        pairs = above.sum() * below.sum()
        if pairs:
            # A pair is right where the negative one ranks lower, and half right where both rank the same.
            areas.append(above @ (np.cumsum(below) - below / 2) / pairs)
    return _middle(np.array(areas))


def _macro_f1(chosen: Array, targets: Array, weights: Array) -> float:
    """The F1 score, mean over the classes that occur in truth or prediction, each sequence that often (S,)."""
    classes = max(chosen.max(), targets.max()) + 1
    hits = np.bincount(targets, weights * (chosen == targets), classes)
    sizes = np.bincount(targets, weights, classes) + np.bincount(chosen, weights, classes)
    return float((2 * hits / np.maximum(sizes, 1)).sum() / (sizes > 0).sum())


def _resamples(size: int) -> Iterator[Array]:
    """How often each sequence is drawn, `size` at a time, with replacement; the same for every score (S,)."""
    random = np.random.default_rng(0)
    for _ in range(_RESAMPLES):
        yield np.bincount(random.integers(size, size=size), minlength=size).astype(float)


def _middle(values: Array) -> Interval:
    """Without what 5 % of the resamples are beyond."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
