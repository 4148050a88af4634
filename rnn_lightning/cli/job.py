"""The run folder of a job: the same for all its processes, and one job's at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from rnn_lightning.cli import runs
from rnn_lightning.cli.errors import TrainingError, UserError

_RUN = "RNN_LIGHTNING_RUN"
"""Environment variable by which the processes that a training starts learn its run folder."""


@contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """The job's run folder, the same for all its processes; gone again if nothing came of the run."""
    if (given := folder_of_the_first()) is not None:
        yield given
        return
    run = runs.create(name) if _is_first() else runs.root() / name / "elsewhere"
    mistaken = False
    try:
        with at_work(run):
            yield run
    except UserError as error:
        mistaken = not isinstance(error, TrainingError)
        raise
    finally:
        nothing = not (run / "checkpoints").is_dir() and (mistaken or not (run / "metrics.csv").is_file())
        if nothing and _is_first():
            shutil.rmtree(run, ignore_errors=True)
            for folder in (run.parent, runs.root()):
                with suppress(OSError):  # another run stands in it
                    folder.rmdir()


@contextmanager
def at_work(run: Path) -> Iterator[None]:
    """Keeps other trainings out of a run folder, and tells it to the processes that this one starts."""
    os.environ[_RUN] = str(run)
    try:
        with runs.in_training(run) if _is_first() else nullcontext():
            yield
    finally:
        del os.environ[_RUN]


def folder_of_the_first() -> Path | None:
    """The folder that the first process of a job told to this one; None where this is the first."""
    return Path(os.environ[_RUN]) if "LOCAL_RANK" in os.environ and _RUN in os.environ else None


def _is_first() -> bool:
    """Whether this process is the one of its job that writes."""
    return getattr(rank_zero_only, "rank", 0) == 0
