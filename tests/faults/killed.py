"""Trainings in processes of their own that end at a chosen moment. They are forked, so that a start costs nothing."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rnn_lightning import SequenceClassifier
from rnn_lightning.cli import checkpoint_files, files, main, runs

TINY = (
    *("--model.hidden_size=4", "--model.dropout=0.3", "--early_stopping=null", "--trainer.max_epochs=3"),
    *("--data.num_train=200", "--data.num_val=130", "--data.batch_size=64"),
)
"""Three epochs, each of 4 batches and 3 of validation."""

_CHANGES = {"os.rename": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}
"""Of what Python tells of the changes in folders, where the path stands."""


class Moments:
    """Counts what a training does, and sends a signal to its process before one of these.

    It counts batches, changes of files below runs/, and the moments when a file is half and when it is wholly written.

    Args:
        last: the moment at which the signal is sent.
        number: the signal.
        times: how often it is sent.
        group: it is sent to all processes that this one has started, too.
        batches: only batches are counted.

    Attributes:
        count: those so far.
    """

    def __init__(
        self, last: int, number: int = signal.SIGKILL, times: int = 1, group: bool = False, batches: bool = False
    ) -> None:
        self.count = 0
        self._last = last
        self._number = number
        self._times = times
        self._group = group
        self._batches = batches

    @classmethod
    def of_batches(cls, last: int, number: int, times: int = 1, group: bool = False) -> Moments:
        """Those of batches of training and validation alone."""
        return cls(last, number, times, group, batches=True)

    def watch(self) -> None:
        """Begins to count; there is no end to it, so this is for a process of its own."""
        if self._group:
            os.setpgid(0, 0)
        for hook in ("training_step", "validation_step"):
            setattr(SequenceClassifier, hook, self._counted(getattr(SequenceClassifier, hook)))
        if self._batches:
            return
        sys.addaudithook(self._change)
        files.write_synced = checkpoint_files.write_synced = self._write  # type: ignore[attr-defined]  # imported there
        os.fsync = self._counted(os.fsync)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self._next()
            return function(*args)

        return call

    def _next(self) -> None:
        self.count += 1
        if self.count == self._last:
            for _ in range(self._times):
                os.kill(-os.getpid() if self._group else os.getpid(), self._number)

    def _change(self, event: str, args: tuple[Any, ...]) -> None:
        is_written = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        place = 0 if is_written else _CHANGES.get(event)
        if place is not None and f"{runs.root()}/" in str(args[place]):
            self._next()

    def _write(self, path: Path, content: Any) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            self._next()
            file.write(content[len(content) // 2 :])
            file.flush()
            os.fsync(file.fileno())


class Child:
    """How a forked process ended.

    Attributes:
        code: its exit code, or the signal's number below 0.
        said: what it printed.
        count: how many moments it saw, if it came to its end.
    """

    def __init__(self, code: int, said: str, count: int) -> None:
        self.code = code
        self.said = said
        self.count = count


def forked(*argv: object, moments: Moments | None = None, seconds: float | None = None) -> Child:
    """Runs the command in a forked process.

    Args:
        argv: its words.
        moments: what happens to it, and when.
        seconds: after how many it ends wherever it is, as by SIGKILL.
    """
    log = Path("forked.txt")
    process = os.fork()
    if process == 0:
        code = 1
        try:
            sys.stdout = sys.stderr = log.open("w", encoding="utf-8", buffering=1)
            for descriptor in (1, 2):
                os.dup2(sys.stdout.fileno(), descriptor)
            logging.getLogger("rnn_lightning").handlers.clear()  # they write to where standard error was
            # Those of the parent have not been forked.
            torch.set_num_threads(1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if moments is not None:
                moments.watch()
            if seconds is not None:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, seconds)
            code = main([str(word) for word in argv])
            if moments is not None:
                Path("count.txt").write_text(str(moments.count))
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    count = Path("count.txt")
    return Child(
        os.waitstatus_to_exitcode(status),
        log.read_text("utf-8"),
        int(count.read_text()) if count.is_file() else 0,
    )


def assert_same_end(run: Path, other: Path) -> None:
    """Holds two runs to have the same weights, optimiser and measurements."""
    for part in (runs.LAST, runs.BEST):
        own, others = (torch.load(each / part, weights_only=True) for each in (run, other))
        assert own["global_step"] == others["global_step"]
        for name, value in others["state_dict"].items():
            assert torch.equal(own["state_dict"][name], value), name
        states = (each["optimizer_states"][0]["state"] for each in (own, others))
        for mine, its in zip(*(state.values() for state in states), strict=True):
            assert all(torch.equal(mine[name], its[name]) for name in its)
    assert (run / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
