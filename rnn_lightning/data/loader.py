"""A loader of batches that goes on, in a training that is resumed, where the checkpoint was made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from rnn_lightning.batch import NO_ROW, Batch
from rnn_lightning.data.sampler import LengthBucketSampler

if TYPE_CHECKING:
    from rnn_lightning.data.base import Sequences


class Loader(DataLoader[Batch]):
    """The batches of one split, in the order of the sampler; what is not trained on any more is not made.

    Attributes:
        trainer: who asks for the batches, if it is a Trainer.
    """

    dataset: Sequences
    trainer: pl.Trainer | None = None
    _is_new = True

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a DataLoader promises a class of its own
        """The batches of an epoch; in the epoch that a resumed training begins within, those that are left of it."""
        # This runs when the first batch is asked for: by then Lightning knows how many came before the checkpoint.
        resumed = self._is_new and self.trainer is not None and self.trainer.train_dataloader is self
        self._is_new = False
        done, fills_up = 0, False
        if isinstance(self.sampler, LengthBucketSampler):
            assert self.batch_size is not None
            done = self.trainer.fit_loop.batch_idx + 1 if resumed and self.trainer is not None else 0
            if self.trainer is not None and 0 < self.trainer.num_training_batches <= done:
                return  # what is left of the epoch is its end
            self.sampler.first = done * self.batch_size
            fills_up = self.sampler.fills_up
        for number, batch in enumerate(super().__iter__(), done + 1):
            yield _standing_in(batch) if fills_up and number == len(self) else batch

    def batches(self, most: int) -> list[list[int]]:
        """The sequences of each of an epoch's first batches, by their numbers."""
        size = self.batch_size or 1
        indices = list(islice(self.sampler, most * size))
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def state_dict(self) -> dict[str, Any]:
        """Nothing: Lightning counts the batches. That there is a state tells it that a training can be resumed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to take back."""


def _standing_in(batch: Batch) -> Batch:
    """The same batch, with the numbers of sequences that do not count."""
    return batch._replace(rows=torch.full_like(batch.lengths, NO_ROW))
