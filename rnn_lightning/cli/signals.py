"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: they end the command at once, or a training at the end of its batch."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rnn_lightning.cli.launch import launch

_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
"""The last, where there is one, says that the terminal is gone."""
_SAME = 1.0
"""Seconds within which a signal is taken for the one before: a terminal and torchrun may both send it."""
_LEFT = 5
"""Seconds that a loader's process has left where all processes were sent SIGTERM: the batch at work may need it."""


class Stopped(KeyboardInterrupt):
    """A signal has stopped the command.

    Args:
        number: of the signal.
        said: what the user is told.
    """

    def __init__(self, number: int, said: str = "Stopped.") -> None:
        super().__init__(said)
        self.number = number
        self.said = said


class _State:
    """What was received, and what is to be done.

    Attributes:
        noted: the number of the signal that was received; 0 where there was none.
        since: when that was.
        can_wait: there is work that would be lost, which a checkpoint will hold when the batch is done.
        starting: modules are being imported, some of which take an exception there for something else.
        owner: the process that the signals are for; those that it forks take over its handlers.
    """

    noted = 0
    since = 0.0
    can_wait = False
    starting = False
    owner = 0


@contextmanager
def handled() -> Iterator[None]:
    """Has the signals stop what is done here. One that is ignored, as in the background of a shell, stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _forget()
    take()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _forget()


def take() -> None:
    """Puts the handlers in place, over those that a library has put there."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


@contextmanager
def starting() -> Iterator[None]:
    """While modules are imported there is nothing to clean up, and a signal ends the process where it is."""
    _State.starting = True
    try:
        yield
    finally:
        _State.starting = False


def let_wait(can_wait: bool) -> None:
    """Says whether a signal is noted for the end of the batch, or stops the command where it is."""
    _State.can_wait = can_wait


def noted() -> int:
    """The number of the signal that was received; 0 where there was none."""
    return _State.noted


def check() -> None:
    """Stops where a signal was noted and nothing has come of it.

    Raises:
        Stopped: there was one.
    """
    if _State.noted:
        raise Stopped(_State.noted)


def speaks() -> bool:
    """Whether this process is the one of a training's that tells the user."""
    started = launch()
    return os.environ.get("LOCAL_RANK", "0") == "0" if started is None else started.rank == 0


def _handle(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.owner:
        # A process of a loader: Ctrl-C in a terminal reaches it too, and its batches are wanted until the end.
        if number == signal.SIGTERM:
            signal.alarm(_LEFT)
        return
    now = time.monotonic()
    if _State.noted:
        if now - _State.since >= _SAME:
            os._exit(128 + number)
        return
    _State.noted, _State.since = number, now
    if _State.starting:
        _write("Stopped.")
        os._exit(128 + number)
    if not _State.can_wait:
        raise Stopped(number)
    _write("Stopping after this batch; a second time stops at once.")


def _write(line: str) -> None:
    """Writes a line from within a handler, which may have interrupted a print."""
    if speaks():
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"{os.linesep if sys.stderr.isatty() else ''}{line}{os.linesep}".encode())


def _forget() -> None:
    _State.noted, _State.can_wait, _State.starting, _State.owner = 0, False, False, os.getpid()
