"""Lightning's checkpoints, early stopping and progress bar, with the few options that people change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, final

from lightning.pytorch import LightningModule, Trainer, callbacks
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason


class _Patient(callbacks.Callback):
    """Asks for no quantity that comes with the first validation where the training ends before it."""

    monitor: Any
    _was_validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes that there was a validation."""
        self._was_validated |= not trainer.sanity_checking
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the quantity where it can be there."""
        if self._was_validated or not trainer.enable_validation or self.monitor in trainer.callback_metrics:
            super().on_train_epoch_end(trainer, pl_module)


class _Settled(callbacks.ModelCheckpoint):
    """Knows the file that it kept again, by whatever path its run folder is named when the training goes on."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state back, for the folder as it is named now."""
        kept = Path(str(self.dirpath)) / Path(state_dict["best_model_path"]).name
        path, score = str(kept) if kept.is_file() else "", state_dict["best_model_score"]
        # What stands in a checkpoint names no file to be removed: it may be another's, and lead anywhere.
        files: dict[str, Any] = {
            "best_model_path": path,
            "kth_best_model_path": "",
            "best_k_models": {},
            "last_model_path": "",
        }
        if path:
            files["dirpath"] = self.dirpath
        if path and score is not None:
            files |= {"kth_best_model_path": path, "best_k_models": {path: score}}
        state_dict = {**state_dict, **files}
        super().load_state_dict(state_dict)


@final
class Checkpoint(_Patient, _Settled):
    """Keeps the best checkpoint of a run as checkpoints/best.ckpt; the newest stands beside it as last.ckpt.

    Args:
        monitor: the logged quantity that decides which is best.
        mode: min where a lower value is better, max where a higher one is.
    """

    def __init__(self, monitor: str = "val_loss", mode: Literal["min", "max"] = "min") -> None:
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )


@final
class LastCheckpoint(_Settled):
    """Keeps the newest checkpoint of a run as checkpoints/last.ckpt.

    Lightning's own `save_last` would keep only those that are the best so far.
    """

    def __init__(self) -> None:
        super().__init__(
            filename="last",
            save_top_k=1,
            enable_version_counter=False,
            # After every epoch, not after every validation.
            save_on_train_epoch_end=True,
        )

    def keep(self, trainer: Trainer) -> None:
        """Keeps the training as it is now."""
        self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))


@final
class EarlyStopping(_Patient, callbacks.EarlyStopping):
    """Stops the training when a quantity has not improved for some epochs.

    Args:
        monitor: the logged quantity to watch.
        mode: min where a lower value is better, max where a higher one is.
        patience: validations without an improvement that are waited for; there is one an epoch by default.
        min_delta: a smaller change is no improvement.

    Raises:
        ValueError: patience is negative.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: Literal["min", "max"] = "min",
        patience: int = 4,
        min_delta: float = 0.0,
    ) -> None:
        if patience < 0:
            raise ValueError(f"patience is {patience}; it must be at least 0")
        super().__init__(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Counts on; with the patience that was asked for now, and as one that has not stopped yet."""
        super().load_state_dict({**state_dict, "patience": self.patience})
        self.stopping_reason = EarlyStoppingReason.NOT_STOPPED


class Together(callbacks.Callback):
    """Has all processes compute what an epoch measured; it stands before the others.

    A progress bar asks for it in one process alone, which then waits for the others for ever.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Computes it; what was computed is kept until the epoch is over."""
        _ = trainer.callback_metrics


class ProgressBar(callbacks.RichProgressBar):
    """A bar that is gone when its epoch is over: the epoch's line stays."""

    def __init__(self) -> None:
        # Lines are left as they are: Rich would break them at the terminal's width, and paths within a word.
        super().__init__(leave=False, console_kwargs={"soft_wrap": True})

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What stands beside the bar; not the run's name, which the first line said."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics

    def _init_progress(self, trainer: Trainer) -> None:
        """Makes a bar that is gone too when the training is over."""
        super()._init_progress(trainer)
        if self.progress is not None:
            self.progress.live.transient = True

    def _get_train_description(self, current_epoch: int) -> str:
        """Counts epochs from 1, as the epochs' lines do; as wide as the validation's, so that the bar does not jump."""
        return f"epoch {current_epoch + 1}/{self.trainer.max_epochs}".ljust(len(self.validation_description))
