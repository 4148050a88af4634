"""Where the study of a sweep is kept: a file for one machine, a database for many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from rnn_lightning.cli.errors import TrainingError, UserError, shown

_HEARTBEAT, _SILENCE = 60, 300
"""Seconds between two signs of life in a database, and without one until a worker on another machine is given up."""


class StudyLostError(TrainingError):
    """What is kept of the trials can no longer be read or written."""


@contextmanager
def kept() -> Iterator[None]:
    """Tells of a study that can no longer be read or written.

    Raises:
        StudyLostError: it cannot.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, OSError, json.JSONDecodeError) as error:
        raise StudyLostError(
            f"the study of the sweep cannot be read or written: {_first_line(error)}\n"
            "The same command goes on once it can."
        ) from error


def journal(path: Path) -> optuna.storages.BaseStorage:
    """The study as a file.

    Args:
        path: of the file.

    Raises:
        UserError: it cannot be read.
    """
    path = path.absolute()
    lock = JournalFileOpenLock(str(path))
    try:
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            _mend(path, lock)
        return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
    except OSError as error:
        raise UserError(f"{path} cannot be read or written: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged, or not the study of a sweep: give another --output") from error


def _mend(path: Path, lock: JournalFileOpenLock) -> None:
    """Takes a last line away that was not written to its end: what is added would be lost with it."""
    lock.acquire()
    try:
        content = path.read_bytes()
        with path.open("rb+") as file:
            file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def database(url: str, again: Callable[[optuna.Study, FrozenTrial], None]) -> optuna.storages.BaseStorage:
    """The study in a database.

    Args:
        url: of the database.
        again: is told of a trial whose machine is silent.

    Raises:
        UserError: there is none.
    """
    name = ""
    try:
        name = f" {make_url(url).render_as_string(hide_password=True)}"
        return optuna.storages.RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True},
            heartbeat_interval=_HEARTBEAT,
            grace_period=_SILENCE,
            heartbeat_stale_trial_callback=again,
        )
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        raise UserError(f"--storage{name} cannot be used: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    return shown(str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0])
