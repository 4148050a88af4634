"""`rnn-lightning fit --resume`: what it takes to go on with a run in its own folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.callbacks.records import Rows, bring_in_line
from rnn_lightning.cli import chosen, configs, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import UNFINISHED, write_whole
from rnn_lightning.tasks.loading import read_checkpoint

_log = logging.getLogger("rnn_lightning")

_KEPT = ("seed_everything", "model", "optimizer", "lr_scheduler", "checkpoint")
"""Sections of a run's config that hold to its end, as does the class of its data."""

CHECKPOINTS = (runs.LAST, runs.PREVIOUS, runs.BEST)
"""Those that a run can go on from, the newest first."""


def choose(name: str | None, options: list[str]) -> tuple[Path, list[str]]:
    """The run to go on with: the one of this name, or the newest that can go on, of those that fit the configs.

    Returns:
        Its folder, and the options that hold over its config.

    Raises:
        UserError: there is none, or an option has no place beside --resume.
    """
    sections: list[dict[str, Any]] = []
    left: list[str] = []
    for flag, value in configs.pairs(options):
        if flag == "--ckpt_path":
            raise UserError(
                "--resume goes on from a run's own checkpoint, --ckpt_path begins a new run: give one of them"
            )
        if flag != "--config":
            left.append(flag if value is None else f"{flag}={value}")
            continue
        section = configs.read(Path(str(value)))
        if name is not None or chosen.wanted([section]) == (None, None):
            raise UserError(
                f"--resume goes on with the config of the run itself: {value} does not help to choose it. "
                "What is to change is given by options, such as --trainer.max_epochs 40"
            )
        sections.append(section)
    if name is not None:
        return runs.find(name), left
    architecture, task = chosen.wanted(sections)
    parts = (*CHECKPOINTS, runs.MARK)  # an interrupted training may have come to no checkpoint
    run = runs.newest(architecture, task, part=parts)
    if run is None:
        kind = "-".join(word for word in (architecture, task) if word)
        raise UserError(
            f"no {kind + ' ' if kind else ''}run under {runs.root()}/ can go on: there is none with a checkpoint"
        )
    return run, left


def command_of(run: Path, options: list[str]) -> FitCommand:
    """The training as it began, with options of now over it.

    Raises:
        UserError: an option would make another training of it.
    """
    recorded = runs.recorded(run)
    files = (configs.base(), run / runs.CONFIG)
    command = FitCommand("fit", [*(f"--config={file}" for file in files), *options], save_config_callback=None)
    if command.config.trainer.fast_dev_run:
        raise UserError("--resume trains a run to its end: trainer.fast_dev_run has no place beside it")
    now = dict(_leaves(yaml.safe_load(written_out(command))))
    for key, value in _leaves(recorded):
        kept = key.partition(".")[0] in _KEPT or key == "data.class_path"
        if kept and (key not in now or now[key] != value):
            option, shown = key.replace(".init_args.", "."), "null" if value is None else value
            raise UserError(
                f"{option} is {shown} in the run {run} and stays so: what can change are the options of trainer, "
                "early_stopping and data"
            )
    return command


def written_out(command: FitCommand) -> str:
    """The config of a command, as a run records it."""
    text: str = command.parser.dump(command.config, skip_none=False)
    return text


def checkpoint_of(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a run that is whole, and its content; None where it was interrupted before the first.

    Raises:
        UserError: none of them can go on.
    """
    there = [part for part in CHECKPOINTS if (run / part).exists()]
    if not there and (run / runs.MARK).is_file():
        return None
    problems = [] if runs.LAST in there else [f"{run / runs.LAST} is missing"]
    for part in there:
        try:
            content = read_checkpoint(run / part)
        except ValueError as error:
            problems.append(str(error))
            continue
        if "optimizer_states" not in content:
            problems.append(f"{run / part} holds the weights alone")
            continue
        for problem in problems:
            epoch = content["epoch"] + 1
            rank_zero_only(_log.warning)("%s: going on from the %s checkpoint (epoch %d)", problem, part.stem, epoch)
        return run / part, content
    raise UserError(f"the run {run} cannot go on: {', and '.join(problems)}")


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """How many epochs lie behind a checkpoint; it may stand within the next one."""
    done: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return done


def why_finished(command: FitCommand, checkpoint: dict[str, Any]) -> tuple[str, str] | None:
    """Why nothing is left to train, and the option that would change that; None where something is left."""
    trainer, stopping = command.config.trainer, command.config_init.early_stopping
    epochs, steps = epochs_done(checkpoint), checkpoint["global_step"]
    if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= epochs:
        return f"it has trained {epochs} epochs", f"--trainer.max_epochs {2 * epochs}"
    if 0 <= trainer.max_steps <= steps:
        return f"it has trained {steps:,} steps", f"--trainer.max_steps {2 * steps}"
    state = None if stopping is None else checkpoint["callbacks"].get(stopping.state_key)
    if state is not None and state["wait_count"] >= max(stopping.patience, 1):
        why = f"it stopped early, when {stopping.monitor} had not improved {state['wait_count']} times"
        return why, f"--early_stopping.patience {2 * state['wait_count']}"
    return None


@rank_zero_only
def complete(run: Path, checkpoint: dict[str, Any]) -> None:
    """Adds to metrics.csv what a finished training was killed before it could write."""
    if behind := checkpoint["callbacks"].get(Rows.__name__):
        bring_in_line(run / "metrics.csv", behind, checkpoint["global_step"])


class Records(Callback):
    """Brings a run's folder in line with the checkpoint, once the training has taken that up.

    Args:
        run: the run folder.
        config: the text of its new config.
        goes_on: the training goes on from a checkpoint of the run's own.
    """

    def __init__(self, run: Path, config: str, goes_on: bool) -> None:
        self.goes_on = goes_on
        self._run = run
        self._config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the config, and takes out of the folder what does not lie behind the checkpoint."""
        if not trainer.is_global_zero:
            return
        write_whole(self._run / runs.CONFIG, self._config.encode())
        for leftover in self._run.rglob(f"*{UNFINISHED}"):
            leftover.unlink()
        if not self.goes_on:
            (self._run / "metrics.csv").unlink(missing_ok=True)
            return
        for part in CHECKPOINTS:
            if self._run / part == Path(str(trainer.ckpt_path)):
                break
            # It is damaged. The good one would give way to it when the next is kept.
            (self._run / part).unlink(missing_ok=True)


def _leaves(content: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """The values of nested tables, by their paths."""
    if not isinstance(content, dict) or not content:
        return [(prefix, content)]
    return [
        leaf for key, value in content.items() for leaf in _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    ]
