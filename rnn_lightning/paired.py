"""Do two models differ on the same test sequences, or is it chance which sequences happened to be in the split?

Both were scored on each of the S sequences, so that what makes a sequence hard makes no difference: only what differs
counts. Nothing here knows of other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_EXACT = 14
"""Up to so many sequences that differ, all ways to exchange the two models are gone through."""
_DRAWN = 9999
"""Otherwise so many of them are drawn, the same each time."""
_AT_ONCE = 1 << 20
"""Signs that are drawn together."""


def mcnemar(first: Array, second: Array) -> float:
    """Gives p that two models are equally often right, by McNemar's test in its mid-p form.

    It looks at the sequences that one model alone is right on: by chance, either model is so on half of them. The mid-p
    form counts what was observed itself by half, and keeps to its level where the exact one is too careful (Fagerland,
    Lydersen and Laake 2013, https://doi.org/10.1186/1471-2288-13-91).

    Args:
        first: which sequences the first model is right on, (S,) bool.
        second: the same of the second.
    """
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    count, fewer = one + other, min(one, other)
    if one == other:
        return 1.0
    # Whole numbers of any size: the binomial coefficients of `count`, up to that of `fewer`.
    ways, sum_of_ways = 1, 0
    for number in range(fewer):
        sum_of_ways += ways
        ways = ways * (count - number) // (number + 1)
    return (2 * sum_of_ways + ways) / (1 << count)


def sign_flips(differences: Array) -> float:
    """Gives p that two models are equally good, by exchanging them on each sequence (Fisher's permutation test).

    If they are, a difference might as well have had the other sign; p is the share of all ways to choose the signs
    whose sum is at least as far from 0 as the observed one.

    Args:
        differences: what the second model has less than the first, of each sequence (S,).
    """
    differences = differences[differences != 0]
    size = len(differences)
    # As far as the observed sum, but for rounding.
    far = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    if size <= _EXACT:
        chosen = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
        return float((np.abs((1 - 2 * chosen) @ differences) >= far).mean())
    random, found, left = np.random.default_rng(0), 0, _DRAWN
    while left:
        rows = min(left, max(_AT_ONCE // size, 1))
        bits = np.unpackbits(np.frombuffer(random.bytes(rows * size // 8 + 1), np.uint8), count=rows * size)
        sums = differences.sum() - 2 * (bits.reshape(rows, size).astype(float) @ differences)
        found += int((np.abs(sums) >= far).sum())
        left -= rows
    return (found + 1) / (_DRAWN + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p, made larger for there being several: among them all, 1 in 20 is below 0.05 by chance (Holm 1979)."""
    adjusted, highest = [math.nan] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted
