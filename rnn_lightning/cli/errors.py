"""Mistakes of a user's, and trainings that fail, told in one to three lines."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rnn_lightning import registry
from rnn_lightning.cli import signals
from rnn_lightning.cli.streams import is_lost

EXIT_MISTAKE, EXIT_FAILED = 2, 1
_PACKAGE = Path(__file__).parents[1]
_LONGEST = 60
"""Characters of a value that are repeated in an error text."""


class UserError(Exception):
    """A mistake of the user's; its text is for the person at the prompt."""

    exit_code = EXIT_MISTAKE


class TrainingError(UserError):
    """A training that was rightly asked for and has no end that is worth keeping."""

    exit_code = EXIT_FAILED


class RefusedError(UserError):
    """Something that was rightly asked for and that the system refused."""

    exit_code = EXIT_FAILED


class ExportError(UserError):
    """Files that were rightly asked for and do not do what the model does."""

    exit_code = EXIT_FAILED


def report(error: BaseException) -> int:
    """Prints what went wrong to standard error and returns the exit code.

    A mistake gets a line, as does what the system refuses, a fault in a plugin the line of its code; a fault of the
    program's is raised again with its traceback.
    """
    mistake = mistake_in(error) or in_plugin(error) or _refusal(error)
    if mistake is None:
        raise error
    # In one piece: other processes may say the same at the same time.
    sys.stderr.write(f"rnn-lightning: {mistake}\n")
    if os.environ.get("LOCAL_RANK", "0") != "0":
        _let_the_first_end()
    return mistake.exit_code if isinstance(mistake, UserError) else EXIT_MISTAKE


def report_interruption(stop: KeyboardInterrupt) -> int:
    """Says that the command was stopped, in one process of a training only, and returns the exit code."""
    stopped = stop if isinstance(stop, signals.Stopped) else signals.Stopped(signal.SIGINT)
    if signals.speaks():
        with suppress(OSError):  # the terminal may be gone
            # It has shown ^C, somewhere in a line.
            sys.stderr.write(f"\n{stopped.said}\n" if sys.stderr.isatty() else f"{stopped.said}\n")
    return 128 + stopped.number


def mistake_in(error: BaseException) -> BaseException | None:
    """The user's mistake that an error was raised from; None where it is a fault of another kind."""
    return next((cause for cause in _causes(error) if _is_mistake(cause)), None)


def shown(value: object) -> str:
    """A value as an error text repeats it."""
    text = "null" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def in_plugin(error: BaseException) -> UserError | None:
    """Where the user's own code, a package or a file, ran into an error; None where it has no part in it.

    A ValueError that it raises on purpose is a mistake as one of ours is, and a line is enough.
    """
    own = registry.plugin_modules()
    found = [
        (cause, summary)
        for cause in _causes(error)
        for (frame, _), summary in zip(
            traceback.walk_tb(cause.__traceback__), traceback.extract_tb(cause.__traceback__), strict=True
        )
        if str(frame.f_globals.get("__name__")).partition(".")[0] in own
    ]
    if not found:
        return None
    cause, place = found[-1]
    said, file = str(cause).strip().partition("\n")[0], from_here(place.filename)
    if isinstance(cause, ValueError) and (place.line or "").startswith("raise "):
        return UserError(f"{file}: {said}")
    return TrainingError(
        f"{file}, line {place.lineno}, in {place.name}: {type(cause).__name__}: {said}\n"
        f"    {place.line}\n(RNN_LIGHTNING_DEBUG=1 shows the whole traceback)"
    )


def _refusal(error: BaseException) -> UserError | None:
    """What the system refused; None for an error of another kind."""
    if not isinstance(error, OSError):
        return None
    what = str(from_here(str(error.filename))) if error.filename else "a file"
    if is_lost(sys.stdout):
        what = "standard output cannot be written"
    return RefusedError(f"{what}: {error.strerror or error}\n(RNN_LIGHTNING_DEBUG=1 shows the whole traceback)")


def from_here(file: str) -> Path:
    """A path, shorter where it lies in the working directory."""
    return Path(file).relative_to(Path.cwd()) if Path(file).is_relative_to(Path.cwd()) else Path(file)


def _let_the_first_end(seconds: float = 10.0) -> None:
    """Waits for the process that started this one, which Lightning would kill while it says why it ends."""
    first, end = os.getppid(), time.monotonic() + seconds
    while os.getppid() == first and time.monotonic() < end:
        time.sleep(0.05)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and the ones it was raised from: a library may wrap what this package raised."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_mistake(error: BaseException) -> bool:
    """A ValueError is one where this package raised it on purpose, not where a library stumbled inside it."""
    if isinstance(error, UserError):
        return True
    if isinstance(error, ValueError):
        return Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_PACKAGE)
    return type(error).__name__ == "MisconfigurationException"
