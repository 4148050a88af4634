"""Lightning's checkpoints and early stopping with the few options that people change."""

from __future__ import annotations

from typing import Literal, final

from lightning.pytorch import callbacks


@final
class Checkpoint(callbacks.ModelCheckpoint):
    """Keeps the best checkpoint of a run as checkpoints/best.ckpt and the newest as checkpoints/last.ckpt.

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
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )


@final
class EarlyStopping(callbacks.EarlyStopping):
    """Stops the training when a quantity has not improved for some epochs.

    Args:
        monitor: the logged quantity to watch.
        mode: min where a lower value is better, max where a higher one is.
        patience: epochs without an improvement that are waited for.
        min_delta: a smaller change is no improvement.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: Literal["min", "max"] = "min",
        patience: int = 4,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta)
