"""What stands around a training: its clock, its output, its home."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rnn_lightning.cli import main, runs
from tests.cli.helpers import epochs, only_run
from tests.conftest import SMALL, Command
from tests.faults import fault
from tests.faults.conftest import InEpoch

Seen = Callable[[str], None]


@fault(
    what="The clock is set back between two trainings, as it is each autumn",
    injected="a run whose name lies an hour ahead, then a new training and `test`",
    seen="`The clock says ..., and the run runs/... began after that: the new one follows it`; the new run is "
    "the newest",
    lost="nothing",
)
def test_a_clock_that_is_set_back_does_not_make_an_older_run_the_newest(
    command: Command, seen: Seen, feature_run: Path
) -> None:
    ahead = feature_run.rename(feature_run.with_name("2999-01-01_00-00-00"))
    result = command("fit", *SMALL)
    assert result.code == 0
    seen(result.err)
    assert runs.newest() == ahead.with_name("2999-01-01_00-00-00-2")
    assert "2999-01-01_00-00-00-2 (epoch" in command("test").out


@fault(
    what="The disk is full that standard output goes to",
    injected="`fit > /dev/full`",
    seen="`standard output cannot be written (No space left on device): the training goes on without`; exit code 0",
    lost="the lines, which metrics.csv has too",
)
def test_a_training_goes_on_where_its_output_has_no_room(
    workplace: Path, seen: Seen, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, redirect_stdout(full):
        assert main(["fit", *SMALL]) == 0
    err = capfd.readouterr().err
    seen(err)
    assert err.count("\n") == 1
    assert len(epochs(only_run())) == 2


@fault(
    what="The reader of a training's output is gone, such as `head` or a terminal",
    injected="a pipe that nobody reads",
    seen="`standard output cannot be written (Broken pipe): the training goes on without`; exit code 0",
    lost="the lines, which metrics.csv has too",
)
def test_a_training_goes_on_where_nobody_reads(workplace: Path, seen: Seen, capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as unread, redirect_stdout(unread):
        assert main(["fit", *SMALL]) == 0
    seen(capfd.readouterr().err)
    assert len(epochs(only_run())) == 2


@fault(
    what="The disk is full that scores are printed to",
    injected="`test > /dev/full`",
    seen="`standard output cannot be written: No space left on device`; exit code 1",
    lost="nothing",
)
def test_scores_that_cannot_be_printed_are_told(
    feature_run: Path, seen: Seen, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full, redirect_stdout(full):
        assert main(["test"]) == 1
    seen(capfd.readouterr().err)


@fault(
    what="Standard output is closed",
    injected="`fit >&-`",
    seen="nothing; exit code 0",
    lost="the lines, which metrics.csv has too",
)
def test_a_training_needs_no_output(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = os.dup(1)
    monkeypatch.setattr(sys, "stdout", None)
    try:
        assert main(["fit", *SMALL]) == 0
    finally:
        os.dup2(first, 1)
        os.close(first)
    assert len(epochs(only_run())) == 2


@fault(
    what="A terminal whose encoding lacks characters",
    injected="standard output in ASCII, and `predict` of a Chinese text",
    seen="`\\u6211\\u7231`; exit code 0",
    lost="nothing: files are UTF-8 whatever the terminal",
)
def test_a_character_that_the_terminal_lacks_is_shown_by_its_number(review_run: Path, seen: Seen) -> None:
    with open("shown", "w", encoding="ascii") as terminal, redirect_stdout(terminal):
        assert main(["predict", "--text=我爱"]) == 0
    seen(Path("shown").read_text("ascii"))


@fault(
    what="A home that cannot be written, as in a container",
    injected="a home that is a file, and no XDG_CACHE_HOME",
    seen="`cannot write the cache folder ...; the environment variable XDG_CACHE_HOME moves it`; exit code 2",
    lost="nothing",
)
def test_a_home_that_cannot_be_written_is_told(
    command: Command, seen: Seen, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("home").write_text("a file")
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    monkeypatch.delenv("XDG_CACHE_HOME")
    result = command("fit", "--config=imdb.yaml", f"--data.path={archive}")
    assert result.code == 2
    seen(result.err)


@fault(
    what="The terminal is closed, or the connection to it is lost",
    injected="SIGHUP to the training within epoch 2",
    seen="`Stopped after step ... (epoch 2). To go on: rnn-lightning fit --resume`; exit code 129; "
    "with nohup it goes on",
    lost="nothing: the batch at work is finished and kept",
)
def test_a_terminal_that_is_closed_stops_the_training_with_what_was_done(
    command: Command, seen: Seen, in_epoch: InEpoch
) -> None:
    in_epoch(2, lambda: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
    try:
        result = command("fit", *SMALL)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result.code == 129
    seen(result.err)
    assert command("fit", "--resume").code == 0
    assert len(epochs(only_run())) == 2
