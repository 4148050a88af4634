"""`rnn-lightning fit --dry-run`: what a training will be, before it is paid for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import ceil, isinf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from lightning.pytorch import Trainer, callbacks
from lightning.pytorch.loggers import CSVLogger
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR

from rnn_lightning.callbacks.habits import EarlyStopping
from rnn_lightning.callbacks.journal import Journal, say
from rnn_lightning.cli import runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.estimate import SPREAD, VALIDATED, MeasuredError, Sample, Stopwatch, Work, batches_in, memory
from rnn_lightning.cli.fit import callbacks_of, train_with
from rnn_lightning.data import survey
from rnn_lightning.data.base import SequenceData
from rnn_lightning.data.loader import Loader

_EPOCHS = ("T_max", "T_0", "total_iters", "step_size", "milestones")
"""Options of torch's schedules that count epochs ..."""
_STEPS = ("total_steps", "step_size_up")
"""... and of those that go on with each step."""


def dry_run(command: FitCommand, start: Path | None, steps_before: int) -> None:
    """Prints what the training would be, from a few of its steps; nothing of them is kept.

    Args:
        command: the training.
        start: the checkpoint that the training goes on from.
        steps_before: how many steps that has behind it.

    Raises:
        UserError: there would be no training, or nothing can be said of it.
    """
    data = command.datamodule
    if not isinstance(data, SequenceData):
        raise UserError(f"--dry-run wants a data set of the kind SequenceData, which {type(data).__name__} is not")
    if command.config.trainer.fast_dev_run:
        raise UserError("--dry-run tells of a whole training, and trainer.fast_dev_run asks for a few batches")
    say(f"Dry run of {runs.architecture(command.config.model.as_dict())} on {data.name}: nothing of it is kept")
    watch = Stopwatch()
    with TemporaryDirectory() as folder:
        trainer = _trainer(command, folder, watch)
        with _sampled(data), suppress(MeasuredError):
            train_with(command, trainer, start, steps_before)
    if not trainer.is_global_zero:
        return
    work, needed = Work.of(trainer), _in_memory(data, trainer)  # before the data is looked at, which takes some too
    found = survey.parts(data)
    for line in survey.table(data, found):
        say(f"  {line}")
    say(f"  {_sizes(command, watch)}")
    say(f"  {_cost(command, trainer, work, watch, steps_before)}{needed}")
    for mistake in [*survey.mistakes(data, found), *_mistakes(command, data, trainer, work)]:
        say(f"  Note: {mistake}")


@contextmanager
def _sampled(data: SequenceData) -> Iterator[None]:
    """Gives the Trainer a few batches in place of all."""
    spreads = {"train_dataloader": SPREAD, "val_dataloader": VALIDATED}
    for name, spread in spreads.items():
        setattr(data, name, partial(_sample, getattr(data, name), spread))
    try:
        yield
    finally:
        for name in spreads:
            delattr(data, name)


def _sample(loader: Callable[[], Loader], spread: int) -> Sample:
    return Sample(loader(), spread)


def _trainer(command: FitCommand, folder: str, watch: Stopwatch) -> Trainer:
    """That of the training, whatever it writes in a folder that will be gone."""
    config = command.config_init
    kept = [callback for callback in callbacks_of(command) if not _is_left_out(callback)]
    return command.instantiate_trainer(
        default_root_dir=folder,
        logger=False if config.trainer.logger is False else CSVLogger(folder),
        callbacks=[*kept, watch],
        enable_checkpointing=config.checkpoint is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1 + VALIDATED,
        profiler=None,
    )


def _is_left_out(callback: callbacks.Callback) -> bool:
    """What shows the progress, and what writes to a place of its own."""
    elsewhere = isinstance(callback, callbacks.ModelCheckpoint) and callback.dirpath is not None
    return elsewhere or isinstance(callback, Journal | callbacks.ProgressBar)


def _sizes(command: FitCommand, watch: Stopwatch) -> str:
    weights = list(command.model.parameters())
    sizes = {
        "parameters": sum(weight.nbytes for weight in weights),
        "gradients": sum(weight.nbytes for weight in weights if weight.requires_grad),
        "the optimiser": watch.optimizer,
    }
    return f"memory of the model: {', '.join(f'{_bytes(size)} for {what}' for what, size in sizes.items())}"


def _cost(command: FitCommand, trainer: Trainer, work: Work, watch: Stopwatch, steps_before: int) -> str:
    """The time, and what it is for."""
    validation = " and validation" if work.validation else ""
    steps = ceil(work.epoch / trainer.accumulate_grad_batches)
    epoch = f"{steps:,} step{'s'[: steps != 1]}"
    if isinf(work.train):
        each = _time(work.seconds(work.epoch, watch.step, watch.validation_step))
        return f"{each} for each epoch of {epoch}{validation}, and the training has no end"
    epochs, rest = divmod(work.train, work.epoch)
    whole = (
        f"{trainer.estimated_stepping_batches:,} steps" if rest else f"{epochs} epoch{'s'[: epochs != 1]} of {epoch}"
    )
    left = f"what is left of {whole} after {steps_before:,}" if steps_before else whole
    early = ", if it does not stop early" if _can_stop(command.config_init.early_stopping, work) else ""
    seconds = work.seconds(work.train - batches_in(trainer, steps_before), watch.step, watch.validation_step)
    return f"{_time(seconds)} for {left}{validation}{early}"


def _in_memory(data: SequenceData, trainer: Trainer) -> str:
    """What the process has needed. On a CPU batches of other lengths, in other places of the memory, add to it."""
    device = trainer.strategy.root_device
    peak = memory(device)
    if peak is None:
        return ""
    limit = "at least" if device.type == "cpu" and np.ptp(data.train.lengths) > 0 else "up to"
    each = " in each process" if trainer.world_size > 1 else ""
    return f", {limit} {_bytes(peak)} of memory{each}"


def _mistakes(command: FitCommand, data: SequenceData, trainer: Trainer, work: Work) -> Iterator[str]:
    """What is likely to be wrong with the options, each in a line."""
    together = data.batch_size * trainer.world_size
    if together > len(data.train):
        yield f"data.batch_size {together:,} is more than there are training sequences, {len(data.train):,}"
    stopping = command.config_init.early_stopping
    if stopping is not None and not _can_stop(stopping, work):
        yield (
            f"it cannot stop early: early_stopping.patience is {stopping.patience}, "
            f"and there are {work.validations(work.train):,} validations"
        )
    schedule = command.config.get("lr_scheduler")
    for name, value in ((schedule.get("init_args") or {}) if schedule else {}).items():
        by_step = schedule.class_path.rpartition(".")[2] in (OneCycleLR.__name__, CyclicLR.__name__)
        length = trainer.estimated_stepping_batches if by_step else work.train / work.epoch
        longest = max(value, default=0) if isinstance(value, list) else value
        if name in (_STEPS if by_step else _EPOCHS) and longest is not None and longest > length:
            unit = "steps" if by_step else "epochs"
            yield f"lr_scheduler.{name} {longest:,} is longer than the training of {length:,.0f} {unit}"


def _can_stop(stopping: EarlyStopping | None, work: Work) -> bool:
    return stopping is not None and stopping.patience < work.validations(work.train)


def _time(seconds: float) -> str:
    """In the two largest units: about 2 min 40 s."""
    whole = max(round(seconds), 1)
    for large, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"about {whole // size} {large}" + (f" {rest} {small}" if rest else "")
    return f"about {whole} s"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
