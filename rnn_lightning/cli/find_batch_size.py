"""`rnn-lightning find-batch-size`: how fast a training is with each batch size.

Lightning's own finder doubles the size until the memory is used up. A CPU would swap by then, and is as fast as it gets
long before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.memory import is_oom_error

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.journal import say
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.trial import Trial
from rnn_lightning.cli.words import taken
from rnn_lightning.data.base import SequenceData

_SMALLEST = 16
_WARM_UP, _STEPS, _SECONDS = 3, 10, 10.0
"""Steps that are not measured, and those that are, unless they take longer."""
_WORTH_IT = 1.1
"""Times as fast a larger batch has to be."""


def find_batch_size(options: list[str]) -> int:
    """Prints how many sequences a second each batch size trains, and which one to try.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.

    Raises:
        UserError: the data does not say its batch size, or has too few sequences.
    """
    trial = Trial("find-batch-size", taken("find-batch-size", options), "Batch sizes")
    if not isinstance(trial.data, SequenceData):
        raise UserError(f"find-batch-size wants a data set of the kind SequenceData, not {type(trial.data).__name__}")
    say("  batch size  ms a batch  sequences a second     memory")
    before, free = _peak_memory(), _free_memory()
    speeds: dict[int, float] = {}
    size, why = _SMALLEST, ""
    while not why:
        trial.data.batch_size = size
        pace = Pace()
        try:
            trial.run(pace, _WARM_UP + _STEPS)
        except RuntimeError as error:
            if not is_oom_error(error):
                raise
            why = f"{size} sequences do not fit into the memory"
            break
        if pace.sequences < size:
            why = f"a batch has {pace.sequences} sequences at most"
            break
        # By the steps of the sequences, since those of some batches are longer than those of others.
        speeds[size] = pace.steps_a_second() / float(trial.data.train.lengths.mean())
        used = _peak_memory()
        say(f"  {size:10,}  {1000 * pace.seconds_a_batch():10.1f}  {speeds[size]:18,.0f}  {used / 2**20:6,.0f} MB")
        if is_fast_enough(speeds):
            why = "larger batches are no faster"
        elif 2 * (used - before) > free / 2:
            why = "the next would take more than half of the free memory"
        size *= 2
    if not speeds:
        raise UserError(f"find-batch-size begins with {_SMALLEST} sequences, and {why}")
    say(f"  {why}; a larger batch may want a higher rate: then find-lr again")
    say(f"Try --data.batch_size {choice(speeds)}")
    return 0


class Pace(Callback):
    """Measures how fast a training is, after a few steps to warm up.

    Attributes:
        sequences: of the largest batch.
    """

    def __init__(self) -> None:
        self.sequences = 0
        self._batches, self._steps, self._seconds = 0, 0, 0.0
        self._start = 0.0

    def seconds_a_batch(self) -> float:
        """The mean of those that were measured."""
        return self._seconds / self._batches

    def steps_a_second(self) -> float:
        """Steps of all sequences of the batches, padding not counted."""
        return self._steps / self._seconds

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Starts the clock."""
        self._start = _now()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Stops the clock."""
        self.sequences = max(self.sequences, len(batch.lengths))
        if trainer.global_step > _WARM_UP:
            self._seconds += _now() - self._start
            self._batches += 1
            self._steps += int(batch.lengths.sum())
            trainer.should_stop = self._seconds > _SECONDS


def is_fast_enough(speeds: Mapping[int, float]) -> bool:
    """Whether neither of the last two sizes was worth it; one alone may have met a busy moment."""
    *before, last, very_last = [0.0, 0.0, *speeds.values()]
    return max(last, very_last) < _WORTH_IT * max(before, default=0.0)


def choice(speeds: Mapping[int, float]) -> int:
    """The smallest size that no larger one is clearly faster than."""
    return min(size for size, speed in speeds.items() if _WORTH_IT * speed >= max(speeds.values()))


def _now() -> float:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()


def _peak_memory() -> float:
    """The most bytes that were in use so far; 0 where the system does not say."""
    if torch.accelerator.is_available():
        return float(torch.accelerator.max_memory_allocated())
    status = Path("/proc/self/status")
    return _kilobytes(status, "VmHWM") if status.is_file() else 0.0


def _free_memory() -> float:
    """Bytes that can still be had; without end where the system does not say, or will say in time, as a GPU does."""
    info = Path("/proc/meminfo")
    return _kilobytes(info, "MemAvailable") if info.is_file() and not torch.accelerator.is_available() else float("inf")


def _kilobytes(path: Path, name: str) -> float:
    lines = (line.split() for line in path.read_text().splitlines())
    return next(1024.0 * int(words[1]) for words in lines if words[0] == f"{name}:")
