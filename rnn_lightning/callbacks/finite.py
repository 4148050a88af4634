"""Stops a training whose numbers are no longer finite, and says where that began.

B sequences, T steps, D features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.habits import LastCheckpoint
from rnn_lightning.callbacks.summary import describe, stages
from rnn_lightning.layers import TokenEmbedding
from rnn_lightning.layers.padding import valid_steps

_MEETING = 50
"""Batches between two looks where a look means to wait: for a GPU, or for the other processes."""


class NotFiniteError(ArithmeticError):
    """What became of a training, for the person at the prompt."""


class _Finding(NamedTuple):
    """Something that is not finite; the one that was there first is the least."""

    step: int
    batch: int
    is_effect: bool
    text: str


class Finite(Callback):
    """Raises `NotFiniteError` in all processes.

    On a CPU losses and gradients are looked at before they reach the weights, which costs microseconds; the weights are
    still good then, and the batch is at hand. Elsewhere to look is to wait for the device, so losses are kept there and
    looked at together from time to time. No checkpoint of spoilt weights is kept.
    """

    def __init__(self) -> None:
        self._at_once = True
        self._batch: Any = None
        self._batch_idx = 0
        self._unseen: list[tuple[Tensor, int, int]] = []
        self._found: _Finding | None = None
        self._watched: list[nn.Parameter] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Chooses when to look, and the gradients to look at."""
        self._at_once = pl_module.device.type == "cpu"
        if self._at_once:
            self._watched = list(_worth_a_look(pl_module))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remembers the batch for as long as it is at work."""
        self._batch, self._batch_idx = batch, batch_idx

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Takes note of the loss; on a CPU it is looked at."""
        self._unseen.append((loss.detach(), trainer.global_step + 1, self._batch_idx + 1))
        if self._at_once:
            self._look(trainer, pl_module)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Looks at the gradients, which may not be finite where the loss is."""
        # The sum of finite numbers may be infinite, so it only says where to look closely.
        if math.isfinite(sum(p.grad.sum().item() for p in self._watched if p.grad is not None)):
            return
        spoilt = [_in_words(stage) for stage in stages(pl_module) if not _are_finite(_gradients(stage[1]))]
        if spoilt:
            in_batch = _in_batch(self._batch)
            where = in_batch or f"it began in {spoilt[-1]}"
            step, batch = trainer.global_step + 1, self._batch_idx + 1
            text = f"a gradient is not finite {_place(trainer, step, batch)}, though the loss is: {where}"
            self._note(trainer, _Finding(step, batch, not in_batch, text))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at what was not looked at, from time to time."""
        self._batch = None
        if (batch_idx + 1) % _MEETING == 0:
            self._meet(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at what was not looked at."""
        self._meet(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing is validated with spoilt weights."""
        self._check_weights(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at val_loss."""
        loss = trainer.callback_metrics.get("val_loss")
        if trainer.sanity_checking:
            return
        if loss is not None and not loss.isfinite():
            where = _where_in_validation(trainer, pl_module)
            self._note_now(trainer, f"val_loss is {loss.item()} after step {trainer.global_step}: {where}")
        self._meet(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Spoilt weights are not kept."""
        self._check_weights(trainer, pl_module)

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """At the losses since the last look, all at once."""
        unseen, self._unseen = self._unseen, []
        if not unseen or self._found is not None:
            return
        losses = [loss for loss, _, _ in unseen]
        values = [losses[0].item()] if self._at_once else torch.stack(losses).flatten().tolist()
        for value, (_, step, batch) in zip(values, unseen, strict=True):
            if not math.isfinite(value):
                where = _where(trainer, pl_module, self._batch) if self._at_once else _TOO_LATE
                text = f"the loss is {value} {_place(trainer, step, batch)}: {where}"
                self._note(trainer, _Finding(step, batch, False, text))
                return

    def _check_weights(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._look(trainer, pl_module)
        if spoilt := _spoilt_weights(pl_module):
            self._note_now(trainer, f"after step {trainer.global_step} {spoilt}")
        self._meet(trainer, pl_module)

    def _note_now(self, trainer: Trainer, text: str) -> None:
        """Of what is seen between two steps."""
        self._note(trainer, _Finding(trainer.global_step + 1, 0, True, text))

    def _note(self, trainer: Trainer, finding: _Finding) -> None:
        """Keeps the first finding; a process alone stops at once."""
        self._found = self._found or finding
        if trainer.world_size == 1:
            _stop(trainer, self._found)

    def _meet(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All processes stop together, or one would wait for another for ever."""
        self._look(trainer, pl_module)
        if trainer.world_size == 1 or not trainer.strategy.reduce_boolean_decision(self._found is not None, all=False):
            return
        found: list[_Finding | None] = [None] * trainer.world_size
        torch.distributed.all_gather_object(found, self._found)
        _stop(trainer, min(finding for finding in found if finding is not None))


def _stop(trainer: Trainer, finding: _Finding) -> None:
    raise NotFiniteError(f"{finding.text}; {_last_good(trainer)}")


_NOWHERE = "computed once more, every layer's output is finite"
_TOO_LATE = "on a CPU (--trainer.accelerator cpu) it would say in which layer it began"


def _place(trainer: Trainer, step: int, batch: int) -> str:
    return f"at step {step} (epoch {trainer.current_epoch + 1}, batch {batch})"


def _last_good(trainer: Trainer) -> str:
    for callback in trainer.checkpoint_callbacks:
        path = Path(getattr(callback, "best_model_path", ""))
        # A training that goes on begins with the path that the one before had.
        if isinstance(callback, LastCheckpoint) and path.is_file() and path.parent == Path(str(callback.dirpath)):
            return f"the last good checkpoint is {path} (epoch {trainer.current_epoch})"
    return "no checkpoint was kept yet"


def _where(trainer: Trainer, model: LightningModule, batch: Any) -> str:
    """Where in a batch, or on its way through the model, numbers are not finite."""
    if in_batch := _in_batch(batch):
        return in_batch
    if spoilt := _spoilt_weights(model):
        return f"{spoilt} since step {trainer.global_step}"
    return _in_stage(trainer, model, batch) or _NOWHERE


def _where_in_validation(trainer: Trainer, model: LightningModule) -> str:
    """The first validation batch that is not finite, and where."""
    loader = trainer.val_dataloaders
    for number, batch in enumerate(loader if isinstance(loader, DataLoader) else [], 1):
        there = trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(batch))
        found = _in_batch(there) or _in_stage(trainer, model, there)
        if found:
            return f"in validation batch {number}, {found}"
    return _NOWHERE


def _in_batch(batch: Any) -> str:
    """The first number of the inputs or targets that is not finite. Padding is not looked at."""
    if not isinstance(batch, Batch):
        return ""
    valid = valid_steps(batch.lengths, batch.inputs.size(1))
    for what, values in (("input", batch.inputs), ("target", batch.targets)):
        if values is None or not values.is_floating_point():
            continue
        bad = ~values.isfinite()
        if what == "input":
            bad &= valid.view(*valid.shape, *[1] * (bad.dim() - 2))
        if bad.any():
            place = bad.nonzero()[0].tolist()
            names = zip(("sequence", "step", "feature"), place, strict=False)
            counted = ", ".join(f"{name} {index + 1}" for name, index in names)
            return f"the batch itself has {values[tuple(place)].item()} as {what} ({counted}, counted from 1)"
    return ""


def _spoilt_weights(model: nn.Module) -> str:
    spoilt = [_in_words(stage) for stage in stages(model) if not _are_finite(list(stage[1].parameters()))]
    if not spoilt:
        return ""
    further = f" and {len(spoilt) - 1} more" if len(spoilt) > 1 else ""
    return f"the weights of {spoilt[0]}{further} are not finite"


@torch.no_grad()
def _in_stage(trainer: Trainer, model: LightningModule, batch: Any) -> str:
    """The first stage whose output is not finite when this batch goes through."""
    if not isinstance(batch, Batch):
        return ""
    found: list[str] = []

    def look(stage: tuple[str, nn.Module]) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _are_finite([output if isinstance(output, Tensor) else output[0]]):
                weights = [p.detach().abs().max().item() for p in module.parameters()]
                sizes = f", whose weights go up to {max(weights):.3g}" if weights else ""
                found.append(f"it began in {_in_words(stage)}{sizes}")

        return hook

    hooks = [stage[1].register_forward_hook(look(stage)) for stage in stages(model)]
    was_training = model.training
    # In training some layers wait for what other processes have.
    model.train(was_training and trainer.world_size == 1)
    with trainer.precision_plugin.forward_context():
        model(batch.inputs, batch.lengths)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return "".join(found)


def _worth_a_look(model: nn.Module) -> Iterator[nn.Parameter]:
    """All parameters but embeddings: these are large, and what reaches them has been through the stage above."""
    for _, module in stages(model):
        if not isinstance(module, TokenEmbedding):
            yield from module.parameters()


def _gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def _are_finite(tensors: list[Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _in_words(stage: tuple[str, nn.Module]) -> str:
    name, module = stage
    return f"{name} ({describe(module)})"
