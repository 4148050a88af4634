"""The adding problem: two marked numbers of a long sequence (Hochreiter and Schmidhuber 1997, experiment 4).

The form is that of Arjovsky et al. 2016, https://arxiv.org/abs/1511.06464. S sequences, T steps.
"""

from __future__ import annotations

import numpy as np

from rnn_lightning.batch import Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences


class AddingProblem(SeededData):
    """Numbers between 0 and 1, two of them marked: what is their sum?

    Each step has two features, a number, drawn evenly, and a mark: 1 at one step of the first half and at one of the
    second, else 0. It takes memory of a real number over as much as the whole sequence. Chance level: who always says
    the mean, 1, has a mean squared error of 1/6.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        num_steps: steps of a sequence, T.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "adding"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        num_steps: int = 200,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        at_least("num_steps", num_steps, 2)
        self.num_steps = num_steps
        self.facts = Facts(input_size=2, labels=())

    def chance_level(self) -> dict[str, float]:
        """The variance of the sum of two numbers."""
        return {"mse": 1 / 6}

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        x = np.zeros((size, self.num_steps, 2), np.float32)
        x[..., 0] = random.random((size, self.num_steps), np.float32)
        rows, half = np.arange(size), self.num_steps // 2
        first, second = random.integers(half, size=size), random.integers(half, self.num_steps, size)
        x[rows, first, 1] = x[rows, second, 1] = 1.0
        return SeededSequences(x, None, x[rows, first, 0] + x[rows, second, 0])
