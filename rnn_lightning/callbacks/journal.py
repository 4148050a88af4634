"""One line an epoch, and what was best at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping


class Journal(Callback):
    """Prints each epoch's measurements as they come, and at the end those of the best epoch, with its checkpoint.

    Args:
        goes_on: the training goes on with a run, whose earlier epochs may have been better.
    """

    def __init__(self, goes_on: bool = False) -> None:
        self._goes_on = goes_on
        self._epochs: dict[int, dict[str, float]] = {}
        self._start = 0.0
        self._validated = 0

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far, and how many were validated."""
        return {"epochs": self._epochs, "validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the epochs back, if they are of the same run."""
        if self._goes_on:
            self._epochs = dict(state_dict["epochs"])
            self._validated = state_dict.get("validated", 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of an epoch that a training goes on within."""
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the epoch's clock."""
        self._start = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes that the epoch was validated."""
        if not trainer.sanity_checking:
            self._validated = trainer.current_epoch + 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the epoch's line, where it was validated: between validations there is little new to say."""
        epoch = trainer.current_epoch + 1
        last = epoch == trainer.max_epochs or trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step
        if trainer.check_val_every_n_epoch and epoch % trainer.check_val_every_n_epoch and not last:
            return
        # The training's own measurements first; Lightning has the validation's before them.
        order = sorted(trainer.callback_metrics.items(), key=lambda item: not item[0].startswith("train_"))
        # Lightning keeps what an earlier epoch's validation measured.
        validated = self._validated == epoch
        measured = {name: float(value) for name, value in order if validated or not name.startswith("val_")}
        self._epochs[epoch] = measured
        total = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "?"
        minutes, seconds = divmod(round(time.monotonic() - self._start), 60)
        say(f"epoch {epoch}/{total}  {minutes}:{seconds:02d}  {in_words(measured)}")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints why the training ended early, where it did, and what was best."""
        stopping = _find(trainer, EarlyStopping)
        if stopping is not None and stopping.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            finite = stopping.stopping_reason is not EarlyStoppingReason.NON_FINITE_METRIC
            epochs = stopping.patience * (trainer.check_val_every_n_epoch or 1)
            why = f"has not improved for {epochs} epochs" if finite else "is no finite number"
            say(f"Stopped early after epoch {stopping.stopped_epoch + 1}: {stopping.monitor} {why}.")
        checkpoint = _find(trainer, Checkpoint)
        if checkpoint is None or not self._epochs:
            return
        if checkpoint.best_model_score is None:
            say(f"No best checkpoint: {checkpoint.monitor} was not measured.")
            return
        score = float(checkpoint.best_model_score)
        for number, measured in self._epochs.items():
            if measured.get(str(checkpoint.monitor)) == score:
                best = {name: value for name, value in measured.items() if name.startswith("val_")}
                say(f"Best: epoch {number}, {in_words(best)}")
                break
        say(f"      {checkpoint.best_model_path}")


@rank_zero_only
def say(line: str) -> None:
    """Prints a line, in one process of a training only."""
    print(line, flush=True)


def in_words(measured: dict[str, float], intervals: Mapping[str, tuple[float, float]] = MappingProxyType({})) -> str:
    """Names and values on one line, each with its 95 % interval where there is one; one without width says nothing."""
    ends = {name: f" [{low:.4f}, {high:.4f}]" for name, (low, high) in intervals.items() if low < high}
    return "  ".join(f"{name} {value:.4f}{ends.get(name, '')}" for name, value in measured.items())


def _find(trainer: Trainer, kind: type[Any]) -> Any:
    callbacks: list[Callback] = getattr(trainer, "callbacks", [])
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)
