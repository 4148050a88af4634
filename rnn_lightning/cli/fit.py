"""`rnn-lightning fit`: train a model in a run folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.callbacks.finite import Finite, NotFiniteError
from rnn_lightning.callbacks.habits import LastCheckpoint, ProgressBar, Together
from rnn_lightning.callbacks.journal import Journal, say
from rnn_lightning.callbacks.summary import Summary
from rnn_lightning.cli import configs, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.errors import TrainingError, UserError
from rnn_lightning.cli.process import shows_bars
from rnn_lightning.cli.words import refuse_names, taken
from rnn_lightning.registry import did_you_mean
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from rnn_lightning.tasks.loading import read_checkpoint

_COUNTS = ("step_size", "step_size_up", "T_max", "total_iters")
"""Options of torch's schedules that count epochs or steps."""
_RUN = "RNN_LIGHTNING_RUN"
"""Environment variable by which the processes that a training starts learn its run folder."""


def fit(options: list[str]) -> int:
    """Trains, and says where the best checkpoint is.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    words = taken("fit", options)
    refuse_names("fit", words)
    command = FitCommand("fit", [f"--config={configs.base()}", *words.left])
    _check_intervals(command)
    steps_before = _steps_before(command)
    if words.has("--dry-run"):
        from rnn_lightning.cli.dry_run import dry_run

        return dry_run(command, steps_before)
    architecture = runs.architecture(command.config.model.as_dict())
    task = getattr(command.datamodule, "name", type(command.datamodule).__name__.lower())
    if command.config.trainer.fast_dev_run:
        train(command, command.instantiate_trainer(callbacks=callbacks_of(command), **_quiet(command)), steps_before)
        return 0
    with _run_folder(f"{architecture}-{task}") as run:
        say(f"Training {architecture} on {task}  ·  run {run}")
        train(command, trainer_in(run, command), steps_before)
    if (run / runs.BEST).is_file():
        verbs = ["test", "predict" if command.model.encoder is None else "predict --text TEXT"]
        verbs += ["generate --prompt TEXT"] if hasattr(command.model, "generate") else []
        say(f"Next: {'  ·  '.join(f'rnn-lightning {verb}' for verb in verbs)}")
    elif (last := run / "checkpoints" / "last.ckpt").is_file():
        say(f"Next: rnn-lightning test --ckpt_path {last}")
    return 0


def _check_intervals(command: FitCommand) -> None:
    """The Trainer and torch's schedules divide by these without looking at them."""
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "val_check_interval"):
        value = command.config.trainer[name]
        if isinstance(value, int | float) and value <= 0:
            raise UserError(f"trainer.{name} is {value}; it must be above 0")
    schedule = command.config.get("lr_scheduler") or {}
    for name, value in (schedule.get("init_args") or {}).items():
        if name in _COUNTS and isinstance(value, int) and value < 1:
            raise UserError(f"lr_scheduler.{name} is {value}; it must be at least 1")


def _steps_before(command: FitCommand) -> int:
    """How many steps the checkpoint has behind it that the training goes on from; 0 without one.

    Raises:
        UserError: it cannot go on from there.
        ValueError: it is no whole checkpoint.
    """
    if command.config.ckpt_path is None:
        return 0
    path, task = Path(command.config.ckpt_path), type(command.model).__name__
    checkpoint = read_checkpoint(path)
    if checkpoint[CHECKPOINT_KEY]["task"] != task:
        raise UserError(f"{path} holds a {checkpoint[CHECKPOINT_KEY]['task']}, and this would train a {task}")
    if "optimizer_states" not in checkpoint:
        raise UserError(f"{path} holds the weights alone: a training cannot go on from it")
    before, now = checkpoint[CHECKPOINT_KEY].get("optimizer"), command.config.get("optimizer")
    if before and now and before != now.class_path.rpartition(".")[2]:
        raise UserError(
            f"{path} was trained with {before}, and this would go on with {now.class_path.rpartition('.')[2]}: "
            f"give --optimizer {before}"
        )
    steps: int = checkpoint["global_step"]
    return steps


def train(command: FitCommand, trainer: Trainer, steps_before: int) -> None:
    """Trains, and tells of mistakes that are seen only then.

    Args:
        command: what is trained on what.
        trainer: who trains.
        steps_before: how many steps the checkpoint has behind it that the training goes on from.

    Raises:
        UserError: there is nothing to train, or what is watched is not measured.
        TrainingError: a loss, a gradient or the weights are no longer finite.
    """
    try:
        trainer.fit(command.model, datamodule=command.datamodule, ckpt_path=command.config.ckpt_path, weights_only=True)
    except ValueError as error:
        if "`val_check_interval`" not in str(error):
            raise
        raise UserError(f"trainer: {str(error).strip()}") from error
    except NotFiniteError as error:
        if not trainer.is_global_zero:
            # The first process says it for all. It would be killed while it does if another one failed.
            raise SystemExit(0) from error
        raise TrainingError(str(error)) from error
    except (MisconfigurationException, RuntimeError) as error:
        # The two that watch a quantity miss it in the first epoch, each in its own way.
        measured = list(trainer.callback_metrics)
        for section in ("checkpoint", "early_stopping"):
            watched = getattr(command.config_init[section], "monitor", None)
            if measured and watched is not None and watched not in measured:
                raise UserError(
                    f"{section}.monitor is '{watched}', which is not measured; there are {', '.join(measured)}"
                    f"{did_you_mean(watched, measured)}"
                ) from error
        raise
    if trainer.global_step == steps_before:
        after = f" after the {steps_before:,} of {command.config.ckpt_path}" if steps_before else ""
        raise UserError(
            "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches "
            f"leaves no step to do{after}"
        )


def trainer_in(run: Path, command: FitCommand) -> Trainer:
    """The Trainer, with everything that it writes inside the run folder."""
    logger = command.config_init.trainer.logger
    own = CSVLogger(str(runs.root()), name=run.parent.name, version=run.name)
    further = [] if logger in (None, True) else logger if isinstance(logger, list) else [logger]
    return command.instantiate_trainer(
        default_root_dir=str(run),
        logger=False if logger is False else [own, *further],
        callbacks=callbacks_of(command),
        enable_checkpointing=command.config_init.checkpoint is not None,
        **_quiet(command),
    )


def callbacks_of(command: FitCommand) -> list[Any]:
    """Those that the user gave, and those that every training has."""
    config = command.config_init
    given = config.trainer.callbacks or []
    given = given if isinstance(given, list) else [given]
    bar = [ProgressBar()] if shows_bars() and not _has_bar(given) else []
    checkpoints = [] if config.checkpoint is None else [config.checkpoint, LastCheckpoint()]
    stopping = [] if config.early_stopping is None else [config.early_stopping]
    summary = [] if config.trainer.enable_model_summary is False else [Summary()]
    return [Together(), *given, *bar, *checkpoints, *stopping, *summary, Finite(), Journal()]


def _quiet(command: FitCommand) -> dict[str, Any]:
    """No bar where nobody looks at it, and our own summary in place of Lightning's."""
    shown = command.config_init.trainer.enable_progress_bar is not False
    has_place = shows_bars() or _has_bar(command.config_init.trainer.callbacks or [])
    return {"enable_progress_bar": shown and has_place, "enable_model_summary": False}


def _has_bar(callbacks: Any) -> bool:
    return any(
        isinstance(callback, lightning_callbacks.ProgressBar)
        for callback in (callbacks if isinstance(callbacks, list) else [callbacks])
    )


@contextmanager
def _run_folder(name: str) -> Iterator[Path]:
    """The job's run folder, the same for all its processes; gone again if nothing came of the run."""
    if "LOCAL_RANK" in os.environ and _RUN in os.environ:
        yield Path(os.environ[_RUN])
        return
    run = runs.create(name) if _is_first() else runs.root() / name / "elsewhere"
    os.environ[_RUN] = str(run)
    mistaken = False
    try:
        yield run
    except UserError:
        mistaken = True
        raise
    finally:
        del os.environ[_RUN]
        nothing = not (run / "checkpoints").is_dir() and (mistaken or not (run / "metrics.csv").is_file())
        if nothing and _is_first():
            shutil.rmtree(run, ignore_errors=True)
            for folder in (run.parent, runs.root()):
                with suppress(OSError):  # another run stands in it
                    folder.rmdir()


def _is_first() -> bool:
    """Whether this process is the one of its job that writes."""
    return getattr(rank_zero_only, "rank", 0) == 0
