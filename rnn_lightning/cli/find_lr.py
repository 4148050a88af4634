"""`rnn-lightning find-lr`: a learning rate to begin with, from a short training in which it rises.

Lightning's own finder takes the steepest descent per unit of the rate, which favours the lowest rates: on the adding
problem it was below the best rate by a factor of 500. What is done here is in docs/presets.md, with what came of it.
"""

from __future__ import annotations

import math
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from rnn_lightning.callbacks.journal import say
from rnn_lightning.callbacks.overfit import keep_batches, without_noise
from rnn_lightning.cli.errors import TrainingError
from rnn_lightning.cli.pictures import has_matplotlib, save
from rnn_lightning.cli.trial import Trial
from rnn_lightning.cli.words import taken

_LOWEST, _HIGHEST, _STEPS = 1e-5, 1.0, 100
_FEWEST = 20
"""Steps without which there is nothing to see."""
_PAST = 0.9
"""Weight of the past in the smoothed loss."""
_DIVERGED = 4.0
"""Times the lowest loss so far, where a training is beyond help."""
_BATCHES = 10
"""Batches that are trained on again and again: on ever new ones so few steps hardly learn a hard task."""
_START = 5
"""Steps whose mean loss is taken for that of a model that has learnt nothing."""
_DOWN = 0.25
"""Share of the fall of the loss at which the suggested rate lies: there it learns, and is far from diverging."""


def find_lr(options: list[str]) -> int:
    """Says which learning rate to try, and draws the losses that this comes from.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.

    Raises:
        TrainingError: there is nothing to be seen.
    """
    words, sweep = taken("find-lr", options), RateSweep()
    trial = Trial("find-lr", words, "Learning rates")
    trial.run(sweep, _STEPS)
    losses = smoothed(sweep.losses)
    if len(losses) < _FEWEST:
        raise TrainingError(
            f"the loss is no finite number, or has grown {_DIVERGED:g} times, after {len(losses)} steps with rates "
            f"from {_LOWEST:g}: there is no rate to be seen. Try --config presets/overfit.yaml"
        )
    best, lowest = suggestion(sweep.rates, losses), min(losses)
    say(
        f"  {len(losses)} steps with rates from {_LOWEST:g} to {sweep.rates[-1]:.2g}: train_loss from {losses[0]:.4f} "
        f"to {lowest:.4f} at {sweep.rates[losses.index(lowest)]:.2g}"
    )
    if has_matplotlib():
        from rnn_lightning.cli import curves

        picture = Path(words.one("--output") or "lr_find.png")
        save(curves.learning_rates(sweep.rates, sweep.losses, losses, best), picture)
        say(f"  drawn in {picture}")
    say(f"Try --optimizer.lr {best:.2g}")
    return 0


class RateSweep(Callback):
    """Raises the learning rate from step to step, and stops where the training is beyond help.

    Attributes:
        rates: the learning rate of each step.
        losses: the loss of each step, which the rates before have led to.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes a few batches in the place of all."""
        keep_batches(trainer.datamodule, _BATCHES)  # type: ignore[attr-defined]  # set, not declared

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switches off what is random: its noise would hide the little that so few steps learn."""
        without_noise(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Sets the rate of the step."""
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = _rate(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Takes note of the loss."""
        loss = float(outputs["loss"])
        if math.isfinite(loss):
            self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
            self.losses.append(loss)
        smooth = smoothed(self.losses)
        trainer.should_stop = not math.isfinite(loss) or smooth[-1] > _DIVERGED * min(smooth)


def smoothed(losses: list[float]) -> list[float]:
    """The losses with less noise: an exponential mean of those up to each."""
    sums = accumulate(losses, lambda past, loss: _PAST * past + (1 - _PAST) * loss, initial=0.0)
    return [total / (1 - _PAST**count) for count, total in enumerate(sums) if count > 0]


def suggestion(rates: list[float], losses: list[float]) -> float:
    """The rate at which the loss has come a quarter of its way down.

    Raises:
        TrainingError: it never falls.
    """
    start, lowest = fmean(losses[:_START]), min(losses)
    if lowest in losses[:_START]:
        raise TrainingError(
            f"the loss never falls with rates from {rates[0]:g} to {rates[-1]:.2g}: look at the targets and the loss"
        )
    there = start - _DOWN * (start - lowest)
    return next(rate for rate, loss in zip(rates[_START:], losses[_START:], strict=True) if loss <= there)


def _rate(step: int) -> float:
    return float(_LOWEST * (_HIGHEST / _LOWEST) ** (step / (_STEPS - 1)))
