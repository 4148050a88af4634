"""What is to be learnt of each text, sequence or step, as it is read from files: a class or a number. N of them."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from rnn_lightning.batch import NO_LABEL
from rnn_lightning.data.tables import Cell, is_number, number, place
from rnn_lightning.registry import did_you_mean

Array = np.ndarray[Any, Any]

_MANY = 20
"""More numbers than this are hardly meant as classes."""
_SHOWN = 10
_log = logging.getLogger("rnn_lightning")


class Labels:
    """Labels in the order they are read in.

    Args:
        column: where they stand.
        regression: they are numbers, not names of classes.
    """

    def __init__(self, column: str, regression: bool) -> None:
        self.column = column
        self.regression = regression
        self._known: dict[str, int] = {}
        self._values = array("d")
        self._files: dict[Path, int] = {}
        self._places = array("q")

    def value(self, cell: Cell, path: Path, line: int) -> float:
        """A label as a number: its own, or that of its name.

        Raises:
            ValueError: there is none.
        """
        if self.regression:
            return number(cell, path, line, self.column)
        name = "" if cell is None else str(cell).strip()
        if not name:
            raise ValueError(f"{place(path, line)}: there is no label in the column '{self.column}'")
        return self._known.setdefault(name, len(self._known))

    def add(self, value: float, path: Path, line: int) -> None:
        """Takes a label, NO_LABEL for a step that has none, and where it stands."""
        self._values.append(value)
        self._places.append(self._files.setdefault(path, len(self._files)))
        self._places.append(line)

    def __len__(self) -> int:
        return len(self._values)

    def name(self, value: float) -> str:
        """What a label is in its file."""
        return str(value) if self.regression else list(self._known)[int(value)]

    def numbers(self) -> Array:
        """All labels as they are (N,); of classes the number of the name, in the order of their appearance."""
        return np.array(self._values)

    def classes(self, train: Array, labels: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
        """The number of each label's class (N,), and the names of the classes.

        Args:
            train: which labels are of the training part.
            labels: the classes' names, where they are known already; else they are those of the training part, in the
                order of the alphabet, or that of the numbers.

        Raises:
            ValueError: there is a single class, or a label that is not among them.
        """
        codes = self.numbers().astype(np.int64)
        names = list(self._known)
        known = labels or _in_order({names[code] for code in np.unique(codes[train]) if code != NO_LABEL})
        if len(known) < 2:
            has = f"one class alone, '{known[0]}': there is nothing to tell apart" if known else "no label"
            raise ValueError(f"the training part has {has}")
        if not labels and len(known) > _MANY and all(map(is_number, known)):
            _log.warning(
                "The column '%s' has %s different numbers, and each is taken for a class: "
                "--data.regression true learns them as numbers",
                *(self.column, f"{len(known):,}"),
            )
        places = {name: place for place, name in enumerate(known)}
        numbers = np.array([places.get(name, -1) for name in names], np.int64)
        targets = np.where(codes == NO_LABEL, NO_LABEL, numbers[np.maximum(codes, 0)])
        for row in np.flatnonzero(targets == -1)[:1]:
            name = names[codes[row]]
            raise ValueError(
                f"{self._place(int(row))}: the label '{name}' is "
                f"{'none of the model' if labels else 'not one of the training part'}'s"
                f", which are {_shown(known)}{did_you_mean(name, list(known))}"
            )
        return targets, known

    def _place(self, row: int) -> str:
        return place(list(self._files)[self._places[2 * row]], self._places[2 * row + 1])


def _in_order(names: Collection[str]) -> tuple[str, ...]:
    if all(map(is_number, names)):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


def _shown(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
