"""What befalls a sweep: its workers, its trials, and what is kept of them."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Command
from tests.faults import fault

Seen = Callable[[str], None]

SMALL = (
    *("--config=mine.yaml", "--model.hidden_size=4", "--trainer.max_epochs=1"),
    *("--data.num_train=64", "--data.num_val=32", "--data.num_test=32"),
)
DANGEROUS = '''
import os, signal
from pathlib import Path
from rnn_lightning import SyntheticSequences

class Dangerous(SyntheticSequences):
    """Does in the second trial what the test asks for, once."""

    name = "dangerous"

    def setup(self, stage=None):
        started = Path("started")
        started.write_text(started.read_text() + "." if started.is_file() else ".")
        if len(started.read_text()) == 2:
            {act}
        super().setup(stage)
'''


def _space(line: str) -> None:
    Path("mine.yaml").write_text(f"sweep:\n  trials: 3\n  space:\n    {line}\n", "utf-8")


def _dangerous(act: str) -> tuple[str, ...]:
    Path("danger.py").write_text(DANGEROUS.format(act=act), "utf-8")
    _space("optimizer.lr: {low: 1.0e-4, high: 1.0e-2, log: true}")
    return ("sweep", *SMALL, "--plugins=danger.py", "--data=Dangerous")


def _states() -> list[str]:
    with Path("sweep/trials.csv").open(encoding="utf-8") as file:
        return [row["state"] for row in csv.DictReader(file)]


@fault(
    "A worker of a sweep is killed, by the system that is short of memory for one",
    "SIGKILL in the middle of a trial",
    "The same command begins with the trial again, with the same values: `3 trials, 1 of them there already`. Killed a "
    "second time, the trial counts as failed. Where several workers share a sweep, another one takes it over",
    "what that trial had trained",
)
def test_a_killed_trial_is_tried_again(installed: Command, command: Command, seen: Seen) -> None:
    words = _dangerous("os.kill(os.getpid(), signal.SIGKILL)")
    assert installed(*words).code == 128 + signal.SIGKILL
    config = Path("sweep/trials/0001/log.txt")
    assert config.is_file()
    result = command(*words)
    assert result.code == 0, result.err
    seen(result.out)
    assert _states() == ["finished"] * 3
    # Number 1 was killed, and 2 has its values.
    with Path("sweep/trials.csv").open(encoding="utf-8") as file:
        assert sorted(int(row["trial"]) for row in csv.DictReader(file)) == [0, 2, 3]


@fault(
    "A trial of a sweep diverges, or fails otherwise",
    "a learning rate of 1e30 among those that are tried",
    "`failed: ... not finite`, and the next trial begins; the table at the end says it again. Where all trials fail, "
    "the exit code is 1",
    "nothing",
)
def test_a_trial_that_fails_is_passed_over(command: Command, seen: Seen) -> None:
    _space("optimizer.lr: [1.0e-3, 1.0e+30]")
    result = command("sweep", *SMALL, "--trainer.max_epochs=2", "--optimizer=SGD", "--trainer.gradient_clip_val=null")
    assert result.code == 0, result.err
    seen(result.out)
    assert _states() == ["finished", "failed"]


@fault(
    "The database of a sweep can no longer be reached",
    "its file is overwritten while a trial runs",
    "`rnn-lightning: the study of the sweep cannot be read or written: ...` and exit code 1; the same command goes on "
    "once it can",
    "the trial that was under way",
)
def test_a_database_that_is_gone_ends_the_sweep(command: Command, seen: Seen) -> None:
    words = _dangerous('Path("all.db").write_bytes(b"nothing of the kind" * 1000)')
    result = command(*words, "--storage=sqlite:///all.db")
    assert result.code == 1
    assert "Traceback" not in result.err
    seen(result.err)


@fault(
    "The power fails while a sweep writes its study",
    "the last line of study.journal is cut off in its middle",
    "The line is taken away, and the sweep goes on: `[3/3]`",
    "what that line said: the trial that it ended is tried again",
)
def test_a_study_that_was_cut_off_is_mended(command: Command, seen: Seen) -> None:
    _space("optimizer.lr: {low: 1.0e-4, high: 1.0e-2, log: true}")
    assert command("sweep", *SMALL, "--trials=2").code == 0
    journal = Path("sweep/study.journal")
    content = journal.read_bytes()
    last_end = content.rindex(b'{"op_code":6')
    journal.write_bytes(content[: last_end + 30])
    result = command("sweep", *SMALL)
    assert result.code == 0, result.err
    assert "1 of them there already" in result.out
    seen(result.out)
    assert _states() == ["finished"] * 3


@fault(
    "A sweep is begun with another space in the folder of an earlier one",
    "other values for an option",
    "`rnn-lightning: the study in sweep/ searches another space: it has other values of optimizer.lr`, exit code 2",
    "nothing: scores that cannot be compared do not stand in one table",
)
def test_a_study_of_another_space_is_left_alone(command: Command, seen: Seen) -> None:
    _space("optimizer.lr: [1.0e-3]")
    assert command("sweep", *SMALL).code == 0
    _space("optimizer.lr: [1.0e-3, 1.0e-2]")
    result = command("sweep", *SMALL)
    assert result.code == 2
    seen(result.err)
