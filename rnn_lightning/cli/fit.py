"""`rnn-lightning fit`: train a model in a run folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch import callbacks as lightning_callbacks

from rnn_lightning.callbacks.at_work import AtWork
from rnn_lightning.callbacks.finite import Finite, NotFiniteError
from rnn_lightning.callbacks.habits import LastCheckpoint, ProgressBar, Together
from rnn_lightning.callbacks.journal import Journal, say
from rnn_lightning.callbacks.overfit import CannotLearnError
from rnn_lightning.callbacks.records import Metrics, Rows
from rnn_lightning.callbacks.summary import Summary
from rnn_lightning.cli import configs, job, plugins, resume, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.checkpoint_files import write_whole_files
from rnn_lightning.cli.chosen import find
from rnn_lightning.cli.errors import TrainingError, UserError
from rnn_lightning.cli.failures import failure
from rnn_lightning.cli.process import shows_bars
from rnn_lightning.cli.stopping import Stopping
from rnn_lightning.cli.streams import unheard
from rnn_lightning.cli.words import refuse_names, taken
from rnn_lightning.registry import did_you_mean
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from rnn_lightning.tasks.loading import check_plugins, read_checkpoint

_COUNTS = ("step_size", "step_size_up", "T_max", "total_iters")
"""Options of torch's schedules that count epochs or steps."""


def fit(options: list[str]) -> int:
    """Trains a new run, goes on with one, or trains several with different seeds.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    words = taken("fit", options)
    refuse_names("fit", words)
    is_dry, run_name = words.has("--dry-run"), words.one("--run")
    for other in ("--seeds", "--resume"):
        if is_dry and words.has(other):
            raise UserError(f"--dry-run says what one new training would be: give it without {other}")
    if words.has("--seeds"):
        from rnn_lightning.cli.seeds import fit_seeds

        return fit_seeds(words)
    if not words.has("--resume"):
        train(words.left, run_name, is_dry=is_dry)
    elif run_name is not None:
        raise UserError(f"--resume names the run itself: fit --resume {run_name}")
    else:
        _go_on(words.one("--resume") or None, words.left)
    return 0


def train(
    options: list[str], run_name: str | None = None, one_of_many: bool = False, is_dry: bool = False
) -> Path | None:
    """Trains, and says where the best checkpoint is.

    Args:
        options: command-line words, configs as paths.
        run_name: the run that --ckpt_path best or last is looked for in.
        one_of_many: others follow, so that it is too early to say what comes next.
        is_dry: only say what the training would be.

    Returns:
        The run folder; None where nothing was kept.
    """
    command = FitCommand("fit", [f"--config={configs.base()}", *options])
    with command.placed(), unheard():
        return _trained(command, run_name, one_of_many, is_dry)


def _trained(command: FitCommand, run_name: str | None, one_of_many: bool, is_dry: bool) -> Path | None:
    check_intervals(command)
    _find_beginning(command)
    architecture, task = _kind(command)
    start, which = _start(command, run_name, architecture, task)
    checkpoint = None if start is None else read_checkpoint(start)
    steps_before = 0 if start is None or checkpoint is None else _steps_before(command, start, checkpoint)
    if is_dry:
        from rnn_lightning.cli.dry_run import dry_run

        dry_run(command, start, steps_before)
        return None
    if command.config.trainer.fast_dev_run:
        trainer = command.instantiate_trainer(callbacks=callbacks_of(command), **_quiet(command))
        train_with(command, trainer, start, steps_before)
        return None
    with job.run_folder(f"{architecture}-{task}", resume.written_out(command)) as run:
        say(f"Training {architecture} on {task}  ·  run {run}")
        if checkpoint is not None:
            say(f"  from {which} (epoch {checkpoint['epoch'] + 1})")
        train_with(command, trainer_in(run, command), start, steps_before)
    if not one_of_many:
        _say_next(run, command)
    return run


def _go_on(name: str | None, options: list[str]) -> None:
    """Trains on in the folder of a run."""
    run, left = resume.choose(name, options)
    run = job.folder_of_the_first() or run
    found = resume.checkpoint_of(run)
    if found is not None:
        check_plugins(found[1])
    command = resume.command_of(run, left)
    with command.placed(), unheard(), job.at_work(run):
        check_intervals(command)
        architecture, task = _kind(command)
        if found is None:
            say(f"Beginning anew with {architecture} on {task}, which has no checkpoint yet  ·  run {run}")
            start, _ = _start(command, None, architecture, task)
            checkpoint = None if start is None else read_checkpoint(start)
        else:
            start, checkpoint = found
            if finished := resume.why_finished(command, checkpoint):
                why, more = finished
                resume.complete(run, checkpoint)
                say(f"The run {run} is finished: {why}. To train longer: rnn-lightning fit --resume {run} {more}")
                return
            say(f"Going on with {architecture} on {task}  ·  run {run} (epoch {resume.epochs_done(checkpoint) + 1})")
        records = resume.Records(run, resume.written_out(command), goes_on=found is not None)
        before = 0 if start is None or checkpoint is None else _steps_before(command, start, checkpoint)
        epochs = 0 if checkpoint is None else resume.epochs_done(checkpoint)
        train_with(command, trainer_in(run, command, records), start, before, epochs)
    _say_next(run, command)


def _kind(command: FitCommand) -> tuple[str, str]:
    """What the model and its data are called in run folders."""
    task = getattr(command.datamodule, "name", type(command.datamodule).__name__.lower())
    return runs.architecture(command.config.model.as_dict()), task


def _say_next(run: Path, command: FitCommand) -> None:
    if (run / runs.BEST).is_file():
        verbs = ["test", "predict" if command.model.encoder is None else "predict --text TEXT"]
        verbs += ["generate --prompt TEXT"] if hasattr(command.model, "generate") else []
        which = plugins.words() if run == runs.newest() else [f"--run {run}", *plugins.words()]
        say(f"Next: {'  ·  '.join(' '.join(('rnn-lightning', verb, *which)) for verb in verbs)}")
    elif (run / runs.LAST).is_file():
        say(" ".join(("Next: rnn-lightning test --ckpt_path", str(run / runs.LAST), *plugins.words())))


def _start(command: FitCommand, run_name: str | None, architecture: str, task: str) -> tuple[Path | None, str]:
    """The checkpoint that a new run begins with, and which one it is in words."""
    name = command.config.ckpt_path
    if name is None:
        if run_name is not None:
            raise UserError(
                f"--run {run_name} goes with --ckpt_path best or last, for a new run that begins there; "
                f"to go on with the run itself: fit --resume {run_name}"
            )
        return None, ""

    def newest(part: Path) -> Path:
        run = runs.newest(architecture, task, part=part)
        if run is None:
            raise UserError(
                f"no {architecture}-{task} run under {runs.root()}/ has a {part.stem} checkpoint to begin with"
            )
        return run

    path, _, which = find(run_name, name, newest)
    command.config.ckpt_path = str(path)
    return path, which


def _find_beginning(command: FitCommand) -> None:
    """Names of runs, in model.init_from, become their folders."""
    given = command.model.hparams.get("init_from")
    names = [given] if isinstance(given, str) else given or []
    found = [str(runs.place(name)) for name in names]
    if found:
        command.model.hparams["init_from"] = found


def check_intervals(command: FitCommand) -> None:
    """The Trainer and torch's schedules divide by these without looking at them.

    Raises:
        UserError: one of them is not above 0.
    """
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "val_check_interval"):
        value = command.config.trainer[name]
        if isinstance(value, int | float) and value <= 0:
            raise UserError(f"trainer.{name} is {value}; it must be above 0")
    schedule = command.config.get("lr_scheduler") or {}
    for name, value in (schedule.get("init_args") or {}).items():
        if name in _COUNTS and isinstance(value, int) and value < 1:
            raise UserError(f"lr_scheduler.{name} is {value}; it must be at least 1")


def _steps_before(command: FitCommand, path: Path, checkpoint: dict[str, Any]) -> int:
    """How many steps the checkpoint has behind it that the training begins with.

    Raises:
        UserError: it cannot go on from there.
    """
    task = type(command.model).__name__
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


def train_with(
    command: FitCommand, trainer: Trainer, start: Path | None, steps_before: int, epochs_before: int | None = None
) -> None:
    """Trains, and tells of mistakes that are seen only then.

    Args:
        command: what is trained on what.
        trainer: who trains.
        start: the checkpoint that the training goes on from.
        steps_before: how many steps that has behind it.
        epochs_before: how many epochs, where the end of one may be all that is left.

    Raises:
        UserError: there is nothing to train, or what is watched is not measured.
        TrainingError: a loss, a gradient or the weights are no longer finite, or the system refused something.
    """
    path = None if start is None else str(start)
    try:
        trainer.fit(command.model, datamodule=command.datamodule, ckpt_path=path, weights_only=True)
    except ValueError as error:
        if "`val_check_interval`" not in str(error):
            raise
        raise UserError(f"trainer: {str(error).strip()}") from error
    except (NotFiniteError, CannotLearnError) as error:
        if not trainer.is_global_zero:
            # The first process says it for all. It would be killed while it does if another one failed.
            raise SystemExit(0) from error
        raise TrainingError(str(error)) from error
    except (MisconfigurationException, RuntimeError, OSError, MemoryError) as error:
        if (why := failure(error, trainer)) is not None:
            raise TrainingError(why) from error
        _check_watched(command, trainer, error)
        raise
    epochs = trainer.fit_loop.epoch_progress.current.state_dict()["processed"]
    if trainer.global_step == steps_before and epochs_before in (None, epochs):
        after = f" after the {steps_before:,} of {start}" if steps_before else ""
        raise UserError(
            "nothing was trained: trainer.max_epochs, max_steps, max_time or limit_train_batches "
            f"leaves no step to do{after}"
        )


def _check_watched(command: FitCommand, trainer: Trainer, error: Exception) -> None:
    """The two that watch a quantity miss it in the first epoch, each in its own way."""
    measured = list(trainer.callback_metrics)
    for section in ("checkpoint", "early_stopping"):
        watched = getattr(command.config_init[section], "monitor", None)
        if measured and watched is not None and watched not in measured:
            raise UserError(
                f"{section}.monitor is '{watched}', which is not measured; there are {', '.join(measured)}"
                f"{did_you_mean(watched, measured)}"
            ) from error


def trainer_in(run: Path, command: FitCommand, records: resume.Records | None = None) -> Trainer:
    """The Trainer, with everything that it writes inside the run folder.

    Args:
        run: the folder.
        command: the training.
        records: those of the run, where the training goes on with it.
    """
    trainer = command.instantiate_trainer(
        default_root_dir=str(run),
        logger=False if command.config.trainer.logger is False else [Metrics(run), *command.loggers(run)],
        callbacks=callbacks_of(command, records),
        enable_checkpointing=command.config_init.checkpoint is not None,
        **_quiet(command),
    )
    write_whole_files(trainer)
    trainer.callbacks.append(Stopping(run))  # type: ignore[attr-defined]  # set, not declared; the last of all
    return trainer


def callbacks_of(command: FitCommand, records: resume.Records | None = None) -> list[Any]:
    """Those that the user gave, and those that every training has."""
    config = command.config_init
    given = config.trainer.callbacks or []
    given = given if isinstance(given, list) else [given]
    bar = [ProgressBar()] if shows_bars() and not _has_bar(given) else []
    checkpoints = [] if config.checkpoint is None else [config.checkpoint, LastCheckpoint()]
    stopping = [] if config.early_stopping is None else [config.early_stopping]
    summary = [] if config.trainer.enable_model_summary is False else [Summary()]
    earlier = [] if records is None else [records]
    goes_on = records is not None and records.goes_on
    own = [Finite(), Journal(goes_on), Rows(goes_on)]
    return [Together(), AtWork(), *earlier, *given, *bar, *checkpoints, *stopping, *summary, *own]


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
