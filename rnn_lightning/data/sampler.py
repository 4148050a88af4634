"""Batches of similar length, in one process or in many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import torch.distributed
from torch.utils.data import DistributedSampler

MANY = 1 << 18
"""More sequences than this are put in order a part at a time."""
_NOISE = 0.05
"""Share by which a length is blurred before sorting, so that an epoch's batches differ from the last one's."""


class LengthBucketSampler(DistributedSampler[int]):
    """Orders indices so that consecutive ones, `batch_size` at a time, have similar lengths.

    Lightning leaves a DistributedSampler alone, gives it the epoch and works with it in one process and in many; so one
    global order, the same for every process, is cut into blocks of `batch_size` for each process. What all processes
    have in a batch together depends on their product alone: two with 8 train on what one with 16 trains on.

    Args:
        lengths: length of each sequence (N,).
        batch_size: sequences in a batch of one process.
        shuffle: for training: another order each epoch, and as many batches for each process. Without it: sorted by
            length.
        seed: decides the shuffling, together with the epoch.

    Attributes:
        first: how many of this process's indices are left out at the beginning.
        fills_up: in training this process's last batch is a sequence that is not to count, since fewer were left than
            there are processes. All others come exactly once over all processes.
    """

    first = 0

    def __init__(self, lengths: np.ndarray[Any, Any], batch_size: int, shuffle: bool, seed: int = 0) -> None:
        parallel = torch.distributed.is_available() and torch.distributed.is_initialized()
        world = torch.distributed.get_world_size() if parallel else 1
        rank = torch.distributed.get_rank() if parallel else 0
        super().__init__(range(len(lengths)), num_replicas=world, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]  # any sized sequence will do
        self.lengths = lengths
        self.batch_size = batch_size
        left = len(lengths) % (batch_size * world)
        self.fills_up = shuffle and 0 < left <= rank

    def __iter__(self) -> Iterator[int]:
        filling = [0] if self.fills_up else []
        return islice(chain(self._indices(), filling), self.first, None)

    def _indices(self) -> Iterator[int]:
        """This process's indices that count, in their order."""
        return iter(self._own_part(self._global_order()).tolist())

    def __len__(self) -> int:
        return len(range(self.rank, len(self.lengths), self.num_replicas)) + self.fills_up

    def _global_order(self) -> np.ndarray[Any, Any]:
        if not self.shuffle:
            return np.argsort(self.lengths, kind="stable")
        random = np.random.default_rng((self.seed, self.epoch))
        # Shuffled first, so that sequences of equal length meet others each epoch.
        order = random.permutation(len(self.lengths))
        blurred = self.lengths[order] * random.uniform(1 - _NOISE, 1 + _NOISE, len(order))
        order = order[np.argsort(blurred, kind="stable")]
        block = self.batch_size * self.num_replicas
        full = len(order) // block * block
        blocks = random.permutation(order[:full].reshape(-1, block))
        return np.concatenate((blocks.ravel(), order[full:]))

    def _own_part(self, order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return order[self.rank :: self.num_replicas]


class ManySampler(LengthBucketSampler):
    """For sequences so many that a list of them all would fill the memory; they are taken to be of one length.

    They are put in order a part at a time. Shuffled, each part of the order takes sequences from all over the data.
    """

    def _indices(self) -> Iterator[int]:
        random = np.random.default_rng((self.seed, self.epoch))
        count, block = len(self.lengths), self.batch_size * self.num_replicas
        first, stride = int(random.integers(count)), round(0.618 * count)
        while math.gcd(stride, count) > 1:  # else some would come twice and others never
            stride += 1
        part = max(MANY // block, 1) * block
        for start in range(0, count, part):
            order = np.arange(start, min(start + part, count))
            if self.shuffle:
                order = random.permutation((first + stride * order) % count)
            yield from self._own_part(order).tolist()


class StreamSampler(LengthBucketSampler):
    """For windows of streams, window after window: first the first of every stream, then the second of every stream.

    Each process has streams of its own, and a batch has the next window of each of them.

    Args:
        lengths: length of each window (N,).
        streams: how many there are over all processes, at least one for each.
    """

    def __init__(self, lengths: np.ndarray[Any, Any], streams: int) -> None:
        super().__init__(lengths, 1, shuffle=False)
        self.streams = streams
        self.own = range(*(streams * rank // self.num_replicas for rank in (self.rank, self.rank + 1)))
        self.batch_size = len(self.own)

    def __len__(self) -> int:
        return len(self.lengths) // self.streams * self.batch_size

    def _indices(self) -> Iterator[int]:
        for start in range(0, len(self.lengths), self.streams):
            yield from (start + stream for stream in self.own)
