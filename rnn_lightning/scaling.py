"""Numbers brought to mean 0 and standard deviation 1, by what the training part has: N values, D features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

_ROUNDING = 1e-14
"""Smaller differences, in proportion, are those of rounded numbers."""


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of some columns; it travels inside the checkpoint of the model trained with it.

    Attributes:
        names: the columns (D,).
        mean: of each column (D,).
        deviation: of each column (D,); 1 where all values are the same.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, names: Sequence[str], values: np.ndarray[Any, Any]) -> Self:
        """The scaling of training values (N, D).

        Raises:
            ValueError: they are so large that their squares are no numbers.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            # Seen from the first value, so that equal ones have no deviation, however large they are.
            differences = values - values[:1]
            mean, deviation = values[0] + differences.mean(0), differences.std(0)
        for name, number in zip(names, deviation, strict=True):
            if not np.isfinite(number):
                raise ValueError(f"the numbers in the column '{name}' are too large to be squared")
        deviation[deviation <= _ROUNDING * np.abs(mean)] = 1.0
        return cls(tuple(names), tuple(mean.tolist()), tuple(deviation.tolist()))

    def apply(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The values (N, D) as a network takes them."""
        scaled: np.ndarray[Any, Any] = (values - np.array(self.mean)) / np.array(self.deviation)
        return scaled.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Everything that makes this scaling, as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The scaling whose `state()` this is.

        Raises:
            ValueError: it is of no columns, or not of the same ones throughout.
        """
        names, mean, deviation = (state[name] for name in ("names", "mean", "deviation"))
        numbers = np.array([mean, deviation], float)
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError("the columns of the model's scaling have no names")
        if numbers.shape != (2, len(names)) or not np.isfinite(numbers).all() or not numbers[1].all():
            raise ValueError("the model's scaling has no number for each of its columns")
        return cls(tuple(names), tuple(mean), tuple(deviation))
