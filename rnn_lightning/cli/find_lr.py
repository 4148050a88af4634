"""`rnn-lightning find-lr`: a learning rate to begin with, from a short training in which it rises.

Lightning's own finder takes the steepest descent per unit of the rate, which favours the lowest rates: it was below the
best rate by a factor of 500 on the adding problem. What is taken here is held to eight trainings in docs/presets.md.
"""

from __future__ import annotations

import math
from itertools import accumulate
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from rnn_lightning.callbacks.journal import say
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
_WHERE = 0.6
"""How far into the fall of the loss the suggested rate lies."""


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
            f"the loss is no finite number, or has grown {_DIVERGED:g} times, after {len(losses)} steps with rates from "
            f"{_LOWEST:g}: there is no rate to be seen. Try --config presets/overfit.yaml"
        )
    best = suggestion(sweep.rates, losses)
    lowest = min(losses)
    say(
        f"  {len(losses)} steps with rates from {_LOWEST:g} to {sweep.rates[-1]:.2g}: train_loss {losses[0]:.4f}, "
        f"lowest {lowest:.4f} at {sweep.rates[losses.index(lowest)]:.2g}"
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
    """The rate three fifths into the longest fall of the loss, on a logarithmic scale.

    The fall is the longest falling subsequence: it goes on through the ups and downs of single batches.

    Raises:
        TrainingError: the loss never falls.
    """
    lengths, starts = [1] * len(losses), list(range(len(losses)))
    for end, loss in enumerate(losses):
        for before in range(end):
            if losses[before] > loss and lengths[before] >= lengths[end]:
                lengths[end], starts[end] = lengths[before] + 1, starts[before]
    if max(lengths) == 1:
        raise TrainingError(
            f"the loss never falls with rates from {rates[0]:g} to {rates[-1]:.2g}: look at the targets and the loss"
        )
    end = lengths.index(max(lengths))
    return float(rates[starts[end]] ** (1 - _WHERE) * rates[end] ** _WHERE)


def _rate(step: int) -> float:
    return float(_LOWEST * (_HIGHEST / _LOWEST) ** (step / (_STEPS - 1)))
