"""One trial of a sweep: a training in a run folder below the sweep's."""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer

from rnn_lightning.callbacks.journal import say
from rnn_lightning.cli import configs, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.errors import TrainingError, in_plugin, mistake_in
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.fit import check_intervals, train_with, trainer_in
from rnn_lightning.cli.resume import written_out

LOG = "log.txt"


class Outcome(NamedTuple):
    """What became of a trial.

    Attributes:
        value: the best of what was watched; None where it failed.
        epochs: how many there were.
        seconds: they took.
        was_pruned: it was ended early.
        why: it failed.
    """

    value: float | None
    epochs: int
    seconds: float
    was_pruned: bool = False
    why: str | None = None


class Watch(Callback):
    """Reports what each validation measured, and ends a training that is not worth going on with.

    Args:
        metric: what is reported.
        report: gets it with the number of the validation, from 1, and says whether to end.
    """

    def __init__(self, metric: str, report: Callable[[float, int], bool]) -> None:
        self._metric, self._report = metric, report
        self.values: list[float] = []
        self.was_pruned = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports it."""
        value = trainer.callback_metrics.get(self._metric)
        if trainer.sanity_checking or value is None or not math.isfinite(value):
            return
        self.values.append(float(value))
        if self._report(self.values[-1], len(self.values)) and not self.was_pruned:
            self.was_pruned = trainer.should_stop = True
            say(f"Pruned: {self._metric} was better in most of the other trials by now.")


def run(
    folder: Path, options: list[str], report: Callable[[float, int], bool], reraised: tuple[type[Exception], ...] = ()
) -> Outcome:
    """Trains in a folder; what is printed goes into log.txt there.

    Args:
        folder: the run folder.
        options: those of fit.
        report: gets each validation, as in `Watch`.
        reraised: errors that are no fault of the trial's.

    Returns:
        What became of it; a training that fails is an outcome too.
    """
    start = time.monotonic()
    with (folder / LOG).open("w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            command = FitCommand("sweep", [f"--config={configs.base()}", *options])
            monitored = command.config.checkpoint.monitor
            better = max if command.config.checkpoint.mode == "max" else min
            watch = Watch(monitored, report)
            with command.placed():
                check_intervals(command)
                write_whole(folder / runs.CONFIG, written_out(command).encode())
                trainer = trainer_in(folder, command)
                trainer.callbacks.append(watch)  # type: ignore[attr-defined]  # set, not declared
                train_with(command, trainer, None, 0)
            if not watch.values:
                raise TrainingError(f"{monitored} was not measured: the training ended before its first validation")
        except reraised:
            raise
        except Exception as error:
            why = str(mistake_in(error) or in_plugin(error) or f"{type(error).__name__}: {error}").strip()
            print(f"rnn-lightning: {why}")
            traceback.print_exc()
            # Where the last good weights are does not matter: those of the best trial alone are kept.
            first_line = why.partition("\n")[0].partition("; the last good checkpoint")[0]
            return Outcome(None, runs.at_a_glance(folder).epochs, _since(start), why=first_line)
        finally:
            # Model and Trainer hold each other, and the next trial is to have their memory.
            command = trainer = None  # type: ignore[assignment]
            gc.collect()
    return Outcome(better(watch.values), runs.at_a_glance(folder).epochs, _since(start), watch.was_pruned)


def _since(start: float) -> float:
    return round(time.monotonic() - start, 1)
