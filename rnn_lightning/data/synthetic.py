"""Sequences made from a seed: nothing to download, nothing on disk."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from rnn_lightning.batch import Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences

Rule = Literal["first_plus_last", "random"]


class SyntheticSequences(SeededData):
    """Gaussian sequences (T, D) with a label that needs memory from the first step to the last.

    With the rule first_plus_last the first feature of the first step and that of the last step are added. Two classes:
    is the sum above 0? More classes: which of `num_classes` equally likely intervals is it in? Regression: the sum.
    With the rule random each label is drawn by chance: there is nothing to learn but the training sequences themselves.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        num_steps: steps of a sequence, T.
        input_size: features of a step, D.
        num_classes: classes; 0 for regression.
        rule: first_plus_last, or random.
        min_steps: with it, each sequence has its own length, drawn evenly from min_steps to num_steps.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "synthetic"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        num_steps: int = 5,
        input_size: int = 3,
        num_classes: int = 2,
        rule: Rule = "first_plus_last",
        min_steps: int | None = None,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        for name, value in {"num_steps": num_steps, "input_size": input_size, "min_steps": min_steps}.items():
            at_least(name, value, 1)
        at_least("num_classes", num_classes, 0)
        if num_classes == 1:
            raise ValueError("num_classes is 1; it must be 2 or more, or 0 for regression")
        if min_steps is not None and min_steps > num_steps:
            raise ValueError(f"min_steps is {min_steps}, above num_steps, which is {num_steps}")
        if rule not in ("first_plus_last", "random"):
            raise ValueError(f"rule is '{rule}', not one of first_plus_last, random")
        self.num_steps = num_steps
        self.input_size = input_size
        self.num_classes = num_classes
        self.rule = rule
        self.min_steps = min_steps
        self.facts = Facts(input_size, labels=tuple(str(label) for label in range(num_classes)))

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        x = random.standard_normal((size, self.num_steps, self.input_size), np.float32)
        shortest = self.num_steps if self.min_steps is None else self.min_steps
        lengths = random.integers(shortest, self.num_steps, size, endpoint=True)
        x[np.arange(self.num_steps) >= lengths[:, None]] = 0.0
        if self.rule == "random":
            drawn = random.integers(self.num_classes, size=size) if self.num_classes else random.standard_normal(size)
            return SeededSequences(x, lengths, self._typed(drawn))
        ends = x[:, 0, 0] + x[np.arange(size), lengths - 1, 0]
        if self.num_classes == 0:
            return SeededSequences(x, lengths, self._typed(ends))
        classes = _interval(ends, np.where(lengths > 1, 2.0, 4.0), self.num_classes)
        return SeededSequences(x, lengths, self._typed(classes))

    def _typed(self, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return targets.astype(np.int64 if self.num_classes else np.float32)


def _interval(values: np.ndarray[Any, Any], variance: np.ndarray[Any, Any], num_classes: int) -> np.ndarray[Any, Any]:
    """The number of the equally likely interval, 0 .. num_classes - 1, that each normally distributed value lies in."""
    share = 0.5 * torch.erfc(torch.from_numpy(-values / np.sqrt(2 * variance))).numpy()
    return np.minimum((share * num_classes).astype(np.int64), num_classes - 1)
