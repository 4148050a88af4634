"""Texts as windows of a fixed number of steps, one after the other or many streams side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from rnn_lightning.batch import Batch, pad_ragged
from rnn_lightning.data.base import SequenceData, Sequences
from rnn_lightning.data.loader import Loader
from rnn_lightning.data.sampler import MANY, LengthBucketSampler, ManySampler, StreamSampler


class Windows(Sequences):
    """Windows of one part of a text; the targets are the same tokens a step later.

    In one stream they follow each other. Else the steps are divided into streams of the same number of steps, or one
    more; first come the first windows of all streams, then the second ones, and so on. All are full but the last ones.

    Args:
        tokens: the whole text, which may be longer than the memory.
        part: where the part begins and ends.
        new_ids: for each id of the text the one in the vocabulary.
        num_steps: tokens of a window.
        streams: how many parts of the part there are side by side, S.
    """

    def __init__(
        self,
        tokens: np.ndarray[Any, Any],
        part: tuple[int, int],
        new_ids: np.ndarray[Any, Any],
        num_steps: int,
        streams: int = 1,
    ) -> None:
        self.tokens = tokens
        self.part = part
        self.new_ids = new_ids
        self.num_steps = num_steps
        self.starts = (part[1] - part[0] - 1) * np.arange(streams + 1) // streams
        sizes = np.diff(self.starts)
        full = math.ceil(sizes.max() / num_steps) - 1
        # There may be very many: as few bytes for each as hold the number.
        self.lengths = np.full((full + 1) * streams, num_steps, np.min_scalar_type(num_steps))
        self.lengths[-streams:] = sizes - full * num_steps

    @property
    def most_streams(self) -> int:
        """As many as have a whole window each."""
        return (self.part[1] - self.part[0] - 1) // self.num_steps

    def in_streams(self, streams: int) -> Windows:
        """The same part of the text in so many streams."""
        return Windows(self.tokens, self.part, self.new_ids, self.num_steps, streams)

    def __getitems__(self, indices: list[int]) -> Batch:
        window, stream = np.divmod(indices, len(self.starts) - 1)
        starts, sizes = self.part[0] + self.starts[stream] + window * self.num_steps, self.lengths[indices]
        inputs, lengths = pad_ragged(self.tokens, starts, sizes)
        targets, _ = pad_ragged(self.tokens, starts + 1, sizes)
        new = self.new_ids  # padding stays padding
        return Batch(torch.from_numpy(new[inputs]), torch.from_numpy(lengths), torch.from_numpy(new[targets]))


class WindowedData(SequenceData):
    """Base of data sets whose parts may be made of windows.

    Attributes:
        streams: a batch goes on where the one before ended.
        num_steps: tokens of a window.
    """

    streams: bool = False
    num_steps: int

    def _loader(self, sequences: Sequences, sampler: LengthBucketSampler | None) -> Loader:
        # Predictions, which have no sampler, are made of windows that stand for themselves.
        if sampler is not None and self.streams:
            assert isinstance(sequences, Windows), "streams are made of windows"
            processes = sampler.num_replicas
            streams = max(min(sequences.most_streams, self.batch_size * processes), 1)
            if sampler.shuffle:
                # As many in each process: a checkpoint within an epoch gathers their states.
                streams = max(streams // processes, 1) * processes
            elif streams < processes:
                raise ValueError(
                    f"a part of the text has {streams} stream{'s'[: streams != 1]} of {self.num_steps} steps, too few "
                    f"for {processes} processes: give fewer --trainer.devices"
                )
            sequences = sequences.in_streams(streams)
            sampler = StreamSampler(sequences.lengths, streams)
        elif sampler is not None and isinstance(sequences, Windows) and len(sequences) > MANY:
            sampler = ManySampler(sampler.lengths, sampler.batch_size, sampler.shuffle, sampler.seed)
        return super()._loader(sequences, sampler)
