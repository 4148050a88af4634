"""Where the time of a training goes, in one table: printed, and beside the run's other records in profile.csv."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler, Profiler

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.journal import say
from rnn_lightning.callbacks.tables import folder_of, write_table

_STEP = {
    "data": ("train_dataloader_next", ".train_dataloader", "batch_to_device", "_batch_transfer"),
    "forward": (".training_step",),
    "backward": (".backward",),
    "optimizer": ("optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"),
}
"""Parts of a training step, and how Lightning calls what belongs to them."""
_BESIDE = {"checkpoints": ("save_checkpoint",), "callbacks": ("[Callback]",)}
PARTS = (*_STEP, "validation", *_BESIDE, "everything else")


class Stopwatch(Profiler):
    """Gives each moment to one part: the innermost thing that Lightning says it is doing, or the validation around it.

    So the parts add up to the whole time, without gap or overlap.

    Args:
        is_validating: whether the training is being validated now.
        now: a clock, in seconds.
    """

    def __init__(self, is_validating: Callable[[], bool], now: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._is_validating, self._now = is_validating, now
        self._open: list[str] = []
        self._last = now()

    def start(self, action_name: str) -> None:
        """Something begins."""
        self.lap()
        self._open.append(self._part(action_name))

    def stop(self, action_name: str) -> None:
        """The last thing that began is done."""
        self.lap()
        if self._open:  # else it began before the watch did
            self._open.pop()

    def lap(self) -> None:
        """Gives the time since the last look to what was going on."""
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()  # else the time would be that of whoever waits for the device
        now = self._now()
        part = self._open[-1] if self._open else "everything else"
        if part != "checkpoints" and self._is_validating():
            part = "validation"
        self.seconds[part] += now - self._last
        self._last = now

    def _part(self, action: str) -> str:
        around = self._open[-1] if self._open else "everything else"
        if around == "checkpoints":
            return around
        named = (part for part, names in (_STEP | _BESIDE).items() if any(name in action for name in names))
        return next(named, around)


class TimeProfile(Callback):
    """Says at the end of a training where its time went, and keeps that as profile.csv in the run folder.

    The time begins when the data has been set up. Forward is the loss of a batch, with all that leads to it; optimizer
    includes the clipping of gradients. Validation includes its data. On a GPU each part waits for the device, which
    makes the whole somewhat slower.

    Raises:
        ValueError: the Trainer already has a profiler.
    """

    def __init__(self) -> None:
        self._watch: Stopwatch | None = None
        self._batches, self._sequences = 0, 0
        self._steps: torch.Tensor | int = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts the watch."""
        if stage != "fit":
            return
        if not isinstance(trainer.profiler, PassThroughProfiler):  # type: ignore[attr-defined]  # set, not declared
            raise ValueError("TimeProfile and trainer.profiler do the same: leave out one of them")
        self._batches, self._sequences, self._steps = 0, 0, 0
        self._watch = Stopwatch(lambda: bool(trainer.validating or trainer.sanity_checking))
        trainer.profiler = self._watch  # type: ignore[attr-defined]  # set, not declared

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Counts."""
        self._batches += 1
        if isinstance(batch, Batch):
            self._sequences += len(batch.lengths)
            self._steps = self._steps + batch.lengths.sum()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Prints the table and writes it."""
        self._tell(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """A training that was interrupted has a table too."""
        self._tell(trainer)

    def _tell(self, trainer: Trainer) -> None:
        if self._watch is None or self._batches == 0:
            return
        self._watch.lap()
        seconds, self._watch = self._watch.seconds, None
        trainer.profiler = PassThroughProfiler()  # type: ignore[attr-defined]  # as above
        rows = table(seconds, self._batches)
        say(f"Where the time of {self._batches:,} batches went:")
        say("  part              seconds    share  ms a batch")
        for part, spent, share, per_batch in rows:
            say(f"  {part:15}  {spent:8.2f}  {100 * share:5.1f} %  {per_batch:10.2f}")
        in_steps = sum(seconds[part] for part in _STEP)
        if self._sequences and in_steps > 0:
            rate, steps = (trainer.world_size * float(n) / in_steps for n in (self._sequences, self._steps))
            say(f"  in {', '.join(_STEP)}: {rate:,.0f} sequences a second, {steps:,.0f} of their steps")
        folder = folder_of(trainer)
        if folder is not None and trainer.is_global_zero:
            write_table(folder / "profile.csv", ("part", "seconds", "share", "ms_per_batch"), rows)


def table(seconds: dict[str, float], batches: int) -> list[tuple[str, float, float, float]]:
    """For each part and their total: its seconds, its share of the total, and its milliseconds a batch."""
    total = sum(seconds.values())
    whole = {**seconds, "total": total}
    return [(part, spent, spent / total, 1000 * spent / batches) for part, spent in whole.items()]
