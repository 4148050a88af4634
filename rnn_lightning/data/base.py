"""What every data set here shares: loaders over sequences that are looked up a whole batch at a time."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from multiprocessing.queues import Queue
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from torch.utils.data import Dataset

from rnn_lightning.batch import Batch, Facts, Ragged
from rnn_lightning.data.loader import Loader
from rnn_lightning.data.sampler import LengthBucketSampler
from rnn_lightning.scaling import Scaling
from rnn_lightning.text import TextEncoder

_AT_ONCE = 1024
"""Sequences that are padded together where all are wanted without padding."""


class Sequences(Dataset[Batch], ABC):
    """Sequences of one split.

    Attributes:
        lengths: steps of each sequence (N,).
    """

    lengths: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.lengths)

    @abstractmethod
    def __getitems__(self, indices: list[int]) -> Batch:
        """The padded batch of these sequences, made in one go: a loader asks for a batch, never for a single one."""

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def text(self, index: int) -> str | None:
        """A sequence as it can be read; None where it is no text."""
        return None

    def whole(self) -> Ragged:
        """All sequences as the batches have them, but together and without padding."""
        values, lengths, targets = [], [], []
        for start in range(0, len(self), _AT_ONCE):
            batch = self.__getitems__(list(range(start, min(start + _AT_ONCE, len(self)))))
            assert batch.targets is not None, "a split for training or scoring has targets"
            valid = torch.arange(batch.inputs.size(1)) < batch.lengths[:, None]
            values.append(batch.inputs[valid].numpy())
            lengths.append(batch.lengths.numpy())
            # A probability for each class belongs to a sequence; classes and tokens of steps are whole numbers.
            per_step = batch.targets.dim() > 1 and not batch.targets.is_floating_point()
            targets.append((batch.targets[valid] if per_step else batch.targets).numpy())
        offsets = np.concatenate(([0], np.cumsum(np.concatenate(lengths))))
        return Ragged(np.concatenate(values), offsets, np.concatenate(targets))


class SequenceData(pl.LightningDataModule, ABC):
    """Base of the data sets: says what the loaders do with three splits.

    Args:
        batch_size: sequences in a batch, in each process.
        num_workers: processes that prepare batches beside the training one; 0 is fastest for data that fits in memory.

    Attributes:
        name: what the data set is called in run folders.
        facts: what a model has to know of the data, once `setup` has run.

    Raises:
        ValueError: a number is out of range.
    """

    name: str
    facts: Facts
    train: Sequences
    val: Sequences
    test: Sequences

    def __init__(self, batch_size: int, num_workers: int = 0) -> None:
        super().__init__()
        at_least("batch_size", batch_size, 1)
        at_least("num_workers", num_workers, 0)
        self.batch_size = batch_size
        self.num_workers = num_workers

    @property
    def model_encoder(self) -> TextEncoder | None:
        """The text encoder of the model at work, where it has one already: then the data is encoded with that."""
        encoder: TextEncoder | None = self._of_model("encoder")
        return encoder

    @property
    def model_labels(self) -> tuple[str, ...]:
        """The classes' names of the model at work, where it has some already: then the targets are numbered by them."""
        return self._of_model("labels") or ()

    @property
    def model_scaling(self) -> Scaling | None:
        """How the model at work scales its features, where it does so already: then the data is scaled like that."""
        scaling: Scaling | None = self._of_model("scaling")
        return scaling

    def _of_model(self, attribute: str) -> Any:
        model = self.trainer.lightning_module if self.trainer is not None else None
        return getattr(model, attribute, None)

    @classmethod
    def name_with(cls, options: Mapping[str, Any]) -> str | None:
        """What the data set is called in run folders, with these options; None where they do not tell."""
        return cls.name

    def summary(self) -> str:
        """The sizes of the three splits, in one line, once `setup` has run."""
        return f"{len(self.train):,} train / {len(self.val):,} validation / {len(self.test):,} test sequences"

    def chance_level(self) -> dict[str, float]:
        """What an answer without a look at the inputs reaches, by metric (accuracy, mse); {} where it is not known."""
        return {}

    def example(self) -> Batch:
        """The first training sequences, as many as a batch has, once `setup` has run."""
        return self.train.__getitems__(list(range(min(len(self.train), self.batch_size))))

    def train_dataloader(self) -> Loader:
        """Batches of similar length, in another order each epoch."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        return self._loader(self.train, LengthBucketSampler(self.train.lengths, self.batch_size, True, seed))

    def val_dataloader(self) -> Loader:
        """Each validation sequence once, sorted by length.

        Raises:
            ValueError: there are fewer than processes.
        """
        return self._loader(self.val, self._each_once("validation", self.val))

    def test_dataloader(self) -> Loader:
        """Each test sequence once, sorted by length.

        Raises:
            ValueError: there are fewer than processes.
        """
        return self._loader(self.test, self._each_once("test", self.test))

    def predict_dataloader(self) -> Loader:
        """The test sequences in their own order."""
        return self._loader(self.test, None)

    def _each_once(self, part: str, sequences: Sequences) -> LengthBucketSampler:
        sampler = LengthBucketSampler(sequences.lengths, self.batch_size, False)
        if len(sequences) < sampler.num_replicas:
            raise ValueError(
                f"the {part} part has {len(sequences)} sequence{'s'[: len(sequences) != 1]}, "
                f"too few for {sampler.num_replicas} processes: give fewer --trainer.devices"
            )
        return sampler

    def _loader(self, sequences: Sequences, sampler: LengthBucketSampler | None) -> Loader:
        loader = Loader(
            _Numbered(sequences),
            batch_size=self.batch_size if sampler is None else sampler.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=_as_it_is,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=partial(_begin_worker, _flushes_denormals()),
            # The copy to a GPU then goes on while the last batch is computed; elsewhere it would be one copy more.
            pin_memory=self.trainer is not None and isinstance(self.trainer.accelerator, CUDAAccelerator),
        )
        loader.trainer = self.trainer
        return loader


class _Numbered(Sequences):
    """Says with each batch which sequences it has, for a loader."""

    def __init__(self, sequences: Sequences) -> None:
        self.sequences = sequences
        self.lengths = sequences.lengths

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.sequences.__getitems__(indices)._replace(rows=torch.as_tensor(indices))


def at_least(name: str, value: float | None, lowest: int) -> None:
    """Checks a number that a user gave.

    Raises:
        ValueError: it is below `lowest`.
    """
    if value is not None and value < lowest:
        raise ValueError(f"{name} is {value}; it must be at least {lowest}")


def _flushes_denormals() -> bool:
    """Whether this thread takes numbers below 1e-38 for zero, which makes a CPU faster."""
    return not torch.full((1,), 1e-40).mul(1.0).any()


def _begin_worker(flush: bool, worker: int) -> None:
    """Makes a worker compute as the training process does, and end where it cannot hand a batch over."""
    torch.set_flush_denormal(flush)
    Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]  # not declared


def _end_worker(error: Exception, batch: Any) -> None:
    """Ends this process: left alone it would go on with the next batch, and the training would wait for ever."""
    sys.stderr.write(f"a batch could not be handed over: {error}\n")
    sys.stderr.flush()
    os._exit(1)


def _as_it_is(batch: Any) -> Any:
    return batch
