"""Can the model learn at all? It is asked to learn one batch by heart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.journal import say

_LEARNT, _NOT_LEARNT = 0.01, 0.1
"""Shares of the first loss: at the one it is learnt by heart, above the other it is not."""


class CannotLearnError(ArithmeticError):
    """What a training showed, for the person at the prompt."""


class OverfitOneBatch(Callback):
    """Trains on the first batch alone, until the model knows it by heart, and says whether it came to that.

    What keeps a model from learning by heart is switched off: dropouts, zoneout, scheduled sampling and weight decay.
    The training ends when train_loss is 1 % of what it was. Where the steps are used up, by --trainer.max_epochs, and
    it is still above 10 %, the training has failed.

    Raises:
        ValueError: the data does not come from a LightningDataModule.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._loss = 0.0
        self._batch = ""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Puts one batch in the place of the training data."""
        data: Any = getattr(trainer, "datamodule", None)
        if data is None:
            raise ValueError("OverfitOneBatch wants a LightningDataModule")
        (batch,) = keep_batches(data, 1)
        self._first = None
        count = len(batch.lengths) if isinstance(batch, Batch) else 0
        self._batch = f"one batch of {count} sequence{'s'[: count != 1]}" if count else "one batch"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switches off what keeps a model from learning by heart."""
        off = without_noise(pl_module)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                if group.get("weight_decay"):
                    off["weight_decay"], group["weight_decay"] = group["weight_decay"], 0.0
        if off:
            say(f"Switched off, to learn by heart: {', '.join(f'{name} {value:g}' for name, value in off.items())}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the loss, the mean over all processes, and stops where it is as good as none."""
        loss = torch.as_tensor(outputs["loss"]).detach()
        self._loss = float(trainer.strategy.reduce(loss, reduce_op="mean"))
        if self._first is None:
            self._first = self._loss
        elif self._loss <= _LEARNT * self._first:
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says what came of it.

        Raises:
            CannotLearnError: the model has not learnt the batch.
        """
        if self._first is None:
            return
        story = f"{self._batch}: train_loss {self._first:.4g} -> {self._loss:.4g} in {trainer.global_step:,} steps"
        if not self._loss <= _NOT_LEARNT * self._first:
            raise CannotLearnError(
                f"{story}: the model cannot even learn one batch by heart. Look at the learning rate, the targets and "
                "the loss; a hard task may want more steps (--trainer.max_epochs)"
            )
        say(f"{story[0].upper()}{story[1:]}: the model can learn")


class _Again:
    """A loader of the same batches every time; a list would be taken for several loaders."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def keep_batches(data: Any, count: int) -> list[Any]:
    """Leaves only the first training batches of a LightningDataModule, the same in every epoch, and returns them."""
    batches = list(islice(data.train_dataloader(), count))
    data.train_dataloader = lambda: _Again(batches)
    return batches


def without_noise(model: LightningModule) -> dict[str, float]:
    """Switches off all that is random in training, which bears its name, and returns what it was."""
    off: dict[str, float] = {}
    for module in model.modules():
        names = [name for name in vars(module) if name.endswith(("dropout", "zoneout"))]
        for name in ["p"] if isinstance(module, nn.modules.dropout._DropoutNd) else names:
            value = getattr(module, name)
            if isinstance(value, float) and value > 0.0:
                off["dropout" if name == "p" else name] = value
                setattr(module, name, 0.0)
    if model.hparams.get("scheduled_sampling"):
        off["scheduled_sampling"], model.hparams["scheduled_sampling"] = model.hparams["scheduled_sampling"], 0.0
    return off
