"""Is a classifier right as often as it says? S sequences, C classes, K bins."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Calibration(NamedTuple):
    """Sequences by how sure the model was of its answer; bins of equal width between 1 / C and 1.

    Attributes:
        edges: where the bins begin and end (K + 1,).
        counts: sequences of each bin (K,).
        sure: mean probability of the answers of each bin, NaN where it has none (K,).
        right: share of them that are right, NaN where it has none (K,).
        error: expected calibration error: how far the two are apart, mean over the sequences (Naeini et al. 2015).
    """

    edges: Array
    counts: Array
    sure: Array
    right: Array
    error: float


def calibration(probabilities: Array, right: Array, bins: int = 10) -> Calibration:
    """Sorts the sequences into bins.

    Args:
        probabilities: of each class (S, C).
        right: whether the most probable one is the true one, (S,) bool.
        bins: how many, K.
    """
    sure = probabilities.max(1)
    edges = np.linspace(1 / probabilities.shape[1], 1, bins + 1)
    # A bin has its upper end.
    places = np.searchsorted(edges[1:-1], sure)
    counts = np.bincount(places, minlength=bins)
    means = [
        np.divide(sums, counts, out=np.full(bins, np.nan), where=counts > 0)
        for sums in (np.bincount(places, sure, bins), np.bincount(places, right, bins))
    ]
    error = np.nansum(np.abs(means[0] - means[1]) * counts) / len(sure)
    return Calibration(edges, counts, means[0], means[1], float(error))
