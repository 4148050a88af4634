"""Dividing what one file holds into parts: N rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def divide(
    count: int,
    shares: Mapping[str, float],
    seed: int,
    of: str,
    classes: Array | None = None,
    groups: Array | None = None,
) -> dict[str, Array]:
    """The rows of the training part and of each other part, in ascending order.

    Args:
        count: rows in all.
        shares: of the other parts.
        seed: decides which row comes into which part.
        of: what the rows are, for error texts.
        classes: the number of each row's class (N,); each part then has as large a share of a class as of all rows.
            Of a class of a single row this is in the training part.
        groups: the number of each row's group (N,): one is in one part as a whole, whatever the classes.

    Raises:
        ValueError: no rows are left for training.
    """
    # RandomState, since numpy promises the same order from it in every version: a later run must not meet its
    # validation rows in training.
    random = np.random.RandomState(seed)
    if groups is not None:
        return _by_groups(groups, shares, random, of)
    order = random.permutation(count)
    if classes is not None:
        order = order[np.argsort(_spread(classes[order]), kind="stable")]
    sizes = [max(1, round(share * count)) for share in shares.values()]
    left = count - sum(sizes)
    if left < 1:
        raise ValueError(f"{_parts(shares)} of {of} leave nothing for training")
    parts = np.split(order, np.cumsum([left, *sizes])[:-1])
    return {name: np.sort(part) for name, part in zip(("train", *shares), parts, strict=True)}


def _spread(classes: Array) -> Array:
    """Between 0 and 1, where each row would stand if those of its class were spread evenly, the first one at 0 (N,)."""
    order = np.argsort(classes, kind="stable")
    _, starts, sizes = np.unique(classes[order], return_index=True, return_counts=True)
    rank = np.empty(len(classes))
    rank[order] = np.arange(len(classes)) - np.repeat(starts, sizes)
    size = np.empty(len(classes))
    size[order] = np.repeat(sizes, sizes)
    return np.where(rank == 0, 0.0, (rank + 0.5) / size)


def _by_groups(groups: Array, shares: Mapping[str, float], random: np.random.RandomState, of: str) -> dict[str, Array]:
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    parts, start = {}, 0
    for name, share in shares.items():
        wanted = int(np.searchsorted(np.cumsum(sizes[order[start:]]), share * len(groups))) + 1
        parts[name] = np.flatnonzero(np.isin(group, order[start : start + wanted]))
        start += wanted
    if start >= len(order):
        raise ValueError(f"{_parts(shares)} of {of}, in {len(order):,} groups, leave nothing for training")
    return {"train": np.flatnonzero(np.isin(group, order[start:])), **parts}


def _parts(shares: Mapping[str, float]) -> str:
    return " and ".join(f"{name}_fraction {share}" for name, share in shares.items())
