"""Remembers which batch is at work, for a line on why a training ended."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from rnn_lightning.batch import Batch


class AtWork(Callback):
    """Remembers the size of the batch at work.

    Attributes:
        batch: it, in words; empty between batches.
    """

    batch = ""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remembers a training batch."""
        self.batch = _in_words(batch, "")

    def on_train_batch_end(self, *args: Any) -> None:
        """Forgets it."""
        self.batch = ""

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Remembers a validation batch."""
        self.batch = _in_words(batch, "validation ")

    def on_validation_batch_end(self, *args: Any) -> None:
        """Forgets it."""
        self.batch = ""


def _in_words(batch: Any, part: str) -> str:
    if not isinstance(batch, Batch):
        return f"a {part}batch"
    return f"a {part}batch of {len(batch.lengths):,} sequences of up to {batch.inputs.size(1):,} steps"
