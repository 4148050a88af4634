"""The installed command in a terminal and in a pipe: bars and colours in the one, plain lines in the other."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pexpect
import pytest

from tests.cli.helpers import files, only_run
from tests.conftest import SMALL, Command

TWO_PROCESSES = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What moves the cursor or changes colours."""


class Shown(NamedTuple):
    """What came to a terminal: the exit code, and all of it, with what moves the cursor and changes colours."""

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """What stands there in the end."""
        lines, row, column = [""], 0, 0
        for up, control, character in re.findall(r"\x1b\[(\d+)A|(\x1b\[[0-9;?]*[A-Za-z])|([^\x1b])", self.raw):
            if up:
                row -= int(up)
            elif control == "\x1b[2K":
                lines[row] = ""
            elif character == "\r":
                column = 0
            elif character == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif character:
                lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
                column += 1
        return [line.rstrip() for line in lines if line.strip()]


Terminal = Callable[..., Shown]


@pytest.fixture
def terminal(workplace: Path, program: str) -> Terminal:
    """Runs the installed command in a terminal; with `until` somebody presses Ctrl-C when that stands there."""

    def run(*argv: object, columns: int = 80, until: str | None = None, **variables: str) -> Shown:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        words = [str(word) for word in argv]
        environment = {**kept, "TERM": "xterm-256color", **variables}
        child: pexpect.spawn[str] = pexpect.spawn(
            program,
            words,
            env=environment,
            dimensions=(24, columns),
            encoding="utf-8",
            timeout=300,
            # Tests that run in the background of a shell are deaf to interruptions, and so would be what they start.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )
        raw = ""
        if until is not None:
            child.expect(until)
            raw = child.before + child.after
            child.sendintr()
        child.expect(pexpect.EOF)
        raw += child.before
        child.close()
        assert child.exitstatus is not None, f"ended by signal {child.signalstatus}"
        return Shown(child.exitstatus, raw)

    return run


def _told(lines: list[str]) -> list[str]:
    """Without times and the name of the run."""
    return [re.sub(r"\d{4}-\d\d-\d\d_[\d-]+|  \d+:\d\d  ", "", line) for line in lines]


def test_a_terminal_has_bars_and_in_the_end_the_same_lines_as_a_pipe(terminal: Terminal, command: Command) -> None:
    """However narrow it is, lines and paths are left whole; nothing else is said, even where all warnings are shown."""
    options = ("fit", *SMALL, "--data.num_workers=1")
    narrow = terminal(*options, columns=40, PYTHONWARNINGS="default")
    assert narrow.code == 0, narrow.raw
    assert "\x1b[38;5;" in narrow.raw  # a colour
    assert "epoch 2/2 " in narrow.raw
    assert f"      {only_run()}/checkpoints/best.ckpt" in narrow.lines
    for line in _CONTROL.sub("", narrow.raw).splitlines():
        assert all(len(part) <= 40 for part in line.split("\r") if "━" in part)
    piped = command(*options)
    assert (piped.code, piped.err) == (0, "")
    assert not re.search(r"[\x1b\r━]", piped.out)
    assert _told(narrow.lines) == _told(piped.out.splitlines())


def test_two_processes_in_a_terminal_train_to_the_end_without_colours(terminal: Terminal) -> None:
    """The bar stands in one process and asks for what all have measured; NO_COLOR leaves bold and dim."""
    two = terminal("fit", *SMALL, *TWO_PROCESSES, NO_COLOR="1", PYTHONWARNINGS="default")
    assert two.code == 0, two.raw
    assert "━" in two.raw
    assert not re.search(r"\x1b\[([0-9;]*;)?([349][0-7]|[34]8;[0-9;]*)m", two.raw)
    starts = [line.split()[0] for line in two.lines]
    assert starts[0] == "Training"
    assert starts[-5:] == ["epoch", "epoch", "Best:", two.lines[-2].strip(), "Next:"]
    assert "Warning" not in two.raw


def test_ctrl_c_ends_in_two_lines(terminal: Terminal) -> None:
    stopped = terminal("fit", "--data.num_train=500000", until="epoch 1/20 .*it/s")
    assert stopped.code == 130, stopped.raw
    assert "Traceback" not in stopped.raw
    assert "Stopping after this batch; a second time stops at once." in stopped.raw
    assert stopped.lines[-1].endswith(f" (epoch 1). To go on: rnn-lightning fit --resume {only_run()}")
    assert files(only_run()) == [".training", "checkpoints/last.ckpt", "config.yaml"]
