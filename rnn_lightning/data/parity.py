"""Parity: is the number of ones so far even or odd, in sequences longer than any that was trained on?

S sequences, T steps.
"""

from __future__ import annotations

import numpy as np

from rnn_lightning.batch import NO_LABEL, Facts
from rnn_lightning.data.base import at_least
from rnn_lightning.data.seeded import SeededData, SeededSequences


class Parity(SeededData):
    """Zeros and ones: at each step, is the number of ones so far even or odd?

    The state must be kept exactly and for ever. Layers whose state decays cannot do it, nor those whose gates do not
    see the state. Training sequences have from `min_steps` to `max_steps` steps, those of validation and test from
    there to `test_steps`, with labels only beyond `max_steps`: nothing is measured but what no training sequence was
    long enough to teach. Chance level: one in two.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        min_steps: steps of the shortest training sequences.
        max_steps: steps of the longest training sequences; those of validation and test have more.
        test_steps: steps of the longest sequences of validation and test.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    name = "parity"

    def __init__(
        self,
        num_train: int = 10_000,
        num_val: int = 2_000,
        num_test: int = 2_000,
        min_steps: int = 3,
        max_steps: int = 40,
        test_steps: int = 256,
        data_seed: int = 0,
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(num_train, num_val, num_test, data_seed, batch_size, num_workers)
        at_least("min_steps", min_steps, 1)
        if max_steps < min_steps:
            raise ValueError(f"max_steps is {max_steps}, below min_steps, which is {min_steps}")
        if test_steps <= max_steps:
            raise ValueError(f"test_steps is {test_steps}; it must be above max_steps, which is {max_steps}")
        self.min_steps = min_steps
        self.max_steps = max_steps
        self.test_steps = test_steps
        self.facts = Facts(input_size=1, labels=("even", "odd"), per_step=True)

    def chance_level(self) -> dict[str, float]:
        """One of two classes."""
        return {"accuracy": 1 / 2}

    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        trains = split == "train"
        shortest, longest = (self.min_steps, self.max_steps) if trains else (self.max_steps + 1, self.test_steps)
        lengths = random.integers(shortest, longest, size, endpoint=True)
        bits = random.integers(2, size=(size, longest))
        steps = np.arange(longest)
        beyond = steps >= lengths[:, None]
        bits[beyond] = 0
        targets = bits.cumsum(1) % 2
        targets[beyond] = NO_LABEL
        if not trains:
            targets[:, : self.max_steps] = NO_LABEL
        return SeededSequences(bits[..., None].astype(np.float32), lengths, targets)
