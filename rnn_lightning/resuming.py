"""What it takes, beside weights, optimiser and schedules, to go on with a training as if it had never been interrupted.

Lightning keeps no random state, forgets what was measured last, and takes a validation for done that was only due.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning.pytorch import Trainer

_NONE = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
_BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
"""Counters that Lightning takes for a validation that was interrupted; it then begins it anew."""


def seed_batch(device: torch.device, *place: int) -> None:
    """Seeds what layers draw from, so that a batch's random numbers depend on its place in the training alone.

    Args:
        device: where the layers are.
        place: seed of the training, epoch, batch, process.
    """
    # torch.manual_seed does the same for all kinds of devices, a hundred times as slowly. A generator may look at 32
    # bits only: a hash gives places side by side seeds that have nothing in common.
    seed = int.from_bytes(hashlib.blake2b(repr(place).encode(), digest_size=8).digest(), "little")
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def is_between_steps(trainer: Trainer) -> bool:
    """Whether a checkpoint made now, at the end of a batch of training or validation, is one that goes on exactly.

    Not while gradients of several batches are being added up: they are not in it. Nor after the last of max_steps, with
    which a training counts as finished: what is measured at its end would be missing.
    """
    return not trainer.fit_loop._should_accumulate() and not 0 < trainer.max_steps <= trainer.global_step


def is_last_batch(trainer: Trainer) -> bool:
    """Whether the present batch is the last one of its epoch."""
    return trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def state(trainer: Trainer, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint needs to hold of the training; its counters are made to say what is still to be done."""
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]
    was_counted = epochs["current"]["completed"] == epochs["current"]["processed"]
    is_over = epochs["current"]["started"] == epochs["current"]["processed"]
    for counts in epochs.values():
        _set(counts, counts["processed"], 0 if is_over else 1)
    if not is_over:
        _settle(trainer, checkpoint["loops"]["fit_loop"])
    return {
        "is_over": is_over,
        "is_last_batch": not is_over and is_last_batch(trainer),
        # Checkpoints of an epoch are made before the schedules that follow a measurement have seen it.
        "schedules_wait": is_over and not was_counted,
        "measured": {name: value.detach().cpu().clone() for name, value in trainer.callback_metrics.items()},
    }


def go_on(trainer: Trainer, saved: dict[str, Any]) -> None:
    """Brings a training that has taken up a checkpoint to where it was.

    Args:
        trainer: who trains; at the training's start, when Lightning has read its counters.
        saved: what `state` gave.
    """
    # Else schedules that follow a measurement would miss that of the first epoch, and with max_steps an epoch that is
    # over would end once more.
    trainer.fit_loop._restarting = False
    if saved["is_over"]:
        trainer.fit_loop.epoch_loop.restarting = False
    device = trainer.strategy.root_device
    trainer.callback_metrics.update({name: value.to(device) for name, value in saved["measured"].items()})
    for config in trainer.lr_scheduler_configs if saved["schedules_wait"] else ():
        is_due = config.interval == "epoch" and trainer.current_epoch % config.frequency == 0
        if config.reduce_on_plateau and is_due and config.monitor in saved["measured"]:
            config.scheduler.step(saved["measured"][config.monitor])


def _settle(trainer: Trainer, loops: dict[str, Any]) -> None:
    """The counters within an epoch."""
    batches, validation = loops["epoch_loop.batch_progress"], loops["epoch_loop.val_loop.batch_progress"]
    in_validation, fetcher = trainer.validating, trainer.fit_loop._data_fetcher
    if in_validation:
        done = validation["current"]["completed"] == validation["current"]["processed"]
        is_due = not (done and validation["is_last_batch"])
    else:
        is_due = fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)
    for counts in (batches["total"], batches["current"]):
        # As after the batch, not at its end: from there Lightning would go on without validation or end of the epoch.
        if is_due or is_last_batch(trainer):
            _set(counts, counts["processed"])
    if not in_validation and not is_due and is_last_batch(trainer):
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1  # as it does when it leaves a batch
    validation.update(total=dict(_BEGUN if is_due else _NONE), current=dict(_NONE), is_last_batch=False)


def _set(counts: dict[str, int], done: int, begun: int = 0) -> None:
    counts.update(ready=done + begun, started=done + begun, processed=done, completed=done)
