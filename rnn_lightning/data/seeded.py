"""What the data sets share that are made from a seed: nothing to download, nothing on disk.

S sequences, T steps (of the longest one), D features a step.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch

from rnn_lightning.batch import Batch
from rnn_lightning.data.base import SequenceData, Sequences, at_least

Array = np.ndarray[Any, Any]


class SeededData(SequenceData):
    """Three splits, each made from a seed of its own: the size of one leaves the others as they are.

    Args:
        num_train: training sequences.
        num_val: validation sequences.
        num_test: test sequences.
        data_seed: makes the sequences; the training's own seed has no part in it.
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self, num_train: int, num_val: int, num_test: int, data_seed: int, batch_size: int, num_workers: int
    ) -> None:
        super().__init__(batch_size, num_workers)
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            at_least(f"num_{split}", size, 1)
        at_least("data_seed", data_seed, 0)
        self.data_seed = data_seed

    def setup(self, stage: str) -> None:
        """Makes the three splits."""
        seeds = np.random.SeedSequence(self.data_seed).spawn(len(self.sizes))
        self.train, self.val, self.test = (
            self._make(split, size, np.random.default_rng(seed))
            for (split, size), seed in zip(self.sizes.items(), seeds, strict=True)
        )

    @abstractmethod
    def _make(self, split: str, size: int, random: np.random.Generator) -> SeededSequences:
        """The sequences of a split: train, val or test."""


class SeededSequences(Sequences):
    """Sequences that lie in memory together, as long as the longest of them.

    Args:
        x: features (S, T, D), or symbols (S, T), whole numbers from 0 on. In the batches each symbol is a feature of
            its own, 1 where it stands and 0 elsewhere; the number `num_symbols` stands for padding.
        lengths: steps of each sequence (S,); None: all have T.
        targets: one a sequence (S,) or one a step (S, T).
        num_symbols: how many symbols there are; None for features.
    """

    def __init__(self, x: Array, lengths: Array | None, targets: Array, num_symbols: int | None = None) -> None:
        self.x = torch.from_numpy(x)
        self.lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
        self.targets = torch.from_numpy(targets)
        self.features = None if num_symbols is None else torch.eye(num_symbols + 1, num_symbols)

    def __getitems__(self, indices: list[int]) -> Batch:
        rows = torch.as_tensor(indices)
        lengths = torch.from_numpy(self.lengths[indices])
        steps = int(lengths.max())
        x, targets = self.x[rows, :steps], self.targets[rows]
        return Batch(
            x if self.features is None else self.features[x.long()],
            lengths,
            targets if targets.dim() == 1 else targets[:, :steps],
        )
