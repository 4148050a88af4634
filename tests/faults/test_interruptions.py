"""Signals and kills: what a training has done is kept, and it goes on as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnn_lightning.cli import runs, signals
from rnn_lightning.tasks.loading import read_checkpoint
from tests.cli.helpers import one_mistake, only_run
from tests.cli.test_damage import flip_a_weight
from tests.conftest import Command, _train
from tests.faults import fault
from tests.faults.killed import TINY, Moments, assert_same_end, forked

Seen = Callable[[str], None]


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Tests that run in the background of a shell are deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without an interruption."""
    (run,) = _train(tmp_path_factory.mktemp("whole"), *TINY).glob("*/*")
    return run


# The first two batches are of Lightning's sanity check; then each epoch has four of training and three of validation.


@fault(
    "Ctrl-C, or SIGINT, in a training",
    "the signal is sent within a batch of training or validation",
    "`Stopping after this batch; a second time stops at once.`, then "
    "`Stopped after step ... (epoch ...). To go on: rnn-lightning fit --resume runs/...`; exit code 130",
    "nothing",
)
@pytest.mark.parametrize("moment", [4, 8])
def test_an_interrupted_training_keeps_its_work(workplace: Path, whole: Path, seen: Seen, moment: int) -> None:
    stopped = forked("fit", *TINY, moments=Moments.of_batches(moment, signal.SIGINT))
    assert stopped.code == 130, stopped.said
    seen(stopped.said)
    assert runs.at_a_glance(only_run()).state == "stopped"
    assert forked("fit", "--resume").code == 0
    assert_same_end(only_run(), whole)


@fault(
    "SIGTERM in a training, as from a scheduler whose time is up",
    "the signal is sent within a batch of training or validation, the last ones too",
    "`Stopped after step ... (epoch ...). To go on: rnn-lightning fit --resume runs/...`; exit code 143",
    "nothing",
)
@pytest.mark.parametrize("moment", [6, 20, 23])
def test_a_terminated_training_keeps_its_work(workplace: Path, whole: Path, seen: Seen, moment: int) -> None:
    stopped = forked("fit", *TINY, moments=Moments.of_batches(moment, signal.SIGTERM))
    assert stopped.code == 143, stopped.said
    seen(stopped.said)
    assert forked("fit", "--resume").code == 0
    assert_same_end(only_run(), whole)


@fault(
    "Ctrl-C or SIGTERM before the first batch",
    "the signal is sent when the first file is written",
    "`Stopped.`; exit code 130 or 143",
    "nothing: no folder is left either",
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_first_batch_there_is_nothing_to_keep(workplace: Path, seen: Seen, number: int) -> None:
    stopped = forked("fit", *TINY, moments=Moments(5, number))
    assert stopped.code == 128 + number, stopped.said
    seen(stopped.said)
    assert not Path("runs").exists()


@fault(
    "Ctrl-C twice",
    "two signals within one batch",
    "`Stopping after this batch; a second time stops at once.`; exit code 130 at once",
    "the work since the last checkpoint",
)
def test_a_second_time_stops_at_once(workplace: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_SAME", 0.0)
    stopped = forked("fit", *TINY, moments=Moments.of_batches(4, signal.SIGINT, times=2))
    assert stopped.code == 130
    assert "Stopped" not in stopped.said
    seen(stopped.said)


@fault(
    "the process is killed (SIGKILL, a power cut, the kernel out of memory)",
    "at 8 moments: within batches, before each change in the run folder, within files that are half written",
    "the end of the process; `fit --resume` goes on, or says `no run under runs/ can go on` where there was none yet",
    "the work since the last checkpoint, an epoch at most",
)
@pytest.mark.parametrize("part", range(8))
def test_a_killed_training_can_be_gone_on_with(workplace: Path, whole: Path, part: int) -> None:
    killed_at(random.Random(part).randrange(6 + 12 * part, 18 + 12 * part), whole)  # test_soak.py has all of them


def killed_at(moment: int, whole: Path) -> None:
    """Holds a training that is killed at a moment to be gone on with, to the same end."""
    killed = forked("fit", *TINY, moments=Moments(moment))
    assert killed.code == -signal.SIGKILL, killed.said
    for path in Path("runs").rglob("*.ckpt"):
        read_checkpoint(path)
    resumed = forked("fit", "--resume")
    if list(Path("runs").rglob(runs.CONFIG)):
        assert resumed.code == 0, resumed.said
        assert_same_end(only_run(), whole)
        assert not list(Path("runs").rglob("*.unfinished"))
    else:
        assert resumed.code == 2
        assert "no run under runs/ can go on" in resumed.said


@fault(
    "killed before the first checkpoint",
    "SIGKILL in the first batch",
    "`Beginning anew with lstm on synthetic, which has no checkpoint yet`",
    "what was done of the first epoch",
)
def test_a_run_without_a_checkpoint_begins_anew_in_its_folder(workplace: Path, whole: Path, seen: Seen) -> None:
    assert forked("fit", *TINY, moments=Moments.of_batches(4, signal.SIGKILL)).code == -signal.SIGKILL
    run = only_run()
    assert [run.folder for run in runs.overview()] == [run]
    resumed = forked("fit", "--resume")
    assert resumed.code == 0, resumed.said
    seen(resumed.said)
    assert only_run() == run
    assert_same_end(run, whole)


@fault(
    "a run folder without config.yaml",
    "it is taken away from the only run",
    "`no run under runs/ can go on: there is none with a checkpoint`",
    "nothing: what is there stays",
)
def test_a_folder_without_a_config_is_no_run(command: Command, whole: Path, seen: Seen) -> None:
    shutil.copytree(whole, "runs/lstm-synthetic/2026-01-01_00-00-00")
    (only_run() / runs.CONFIG).unlink()
    assert runs.overview() == []
    seen(one_mistake(command("fit", "--resume")))


@fault(
    "last.ckpt is damaged",
    "one bit of it is changed",
    "`last.ckpt is a damaged checkpoint: ... going on from the previous checkpoint (epoch 2)`",
    "the work between the last two checkpoints",
)
def test_the_previous_checkpoint_takes_the_place_of_a_damaged_one(workplace: Path, whole: Path, seen: Seen) -> None:
    shutil.copytree(whole, "runs/lstm-synthetic/2026-01-01_00-00-00")
    run = only_run()
    flip_a_weight(run / runs.LAST)
    resumed = forked("fit", "--resume")
    assert resumed.code == 0, resumed.said
    seen(resumed.said)
    assert_same_end(run, whole)
    read_checkpoint(run / runs.PREVIOUS)


@fault(
    "last.ckpt and previous.ckpt are gone",
    "they are taken away",
    "`last.ckpt is missing: going on from the best checkpoint (epoch ...)`",
    "the work since the best epoch",
)
def test_the_best_checkpoint_is_the_last_resort(workplace: Path, whole: Path, seen: Seen) -> None:
    shutil.copytree(whole, "runs/lstm-synthetic/2026-01-01_00-00-00")
    run = only_run()
    for part in (runs.LAST, runs.PREVIOUS):
        (run / part).unlink()
    resumed = forked("fit", "--resume", "--trainer.max_epochs=4")
    assert resumed.code == 0, resumed.said
    seen(resumed.said)


@fault(
    "SIGTERM to the first of two processes",
    "`--trainer.devices 2`; the first process alone gets the signal",
    "one line, `Stopped after step ... (epoch ...). To go on: rnn-lightning fit --resume runs/...`; exit code 143",
    "nothing",
)
def test_two_processes_stop_after_the_same_batch(workplace: Path, program: str, seen: Seen) -> None:
    two = ("--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.accelerator=cpu")
    words = [program, "fit", *TINY, *two, "--trainer.max_epochs=100000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("epoch 1/") for line in process.stdout)
        process.terminate()
        _, told = process.communicate(timeout=300)
    assert process.returncode == 143, told
    assert len(told.splitlines()) == 2, told
    seen(told)
    step = int(told.rpartition("after step ")[2].split()[0].replace(",", ""))
    assert read_checkpoint(only_run() / runs.LAST)["global_step"] == step
    assert not [path for path in Path("/proc").glob("[0-9]*/cwd") if _is_here(path, workplace)]


def _is_here(cwd: Path, workplace: Path) -> bool:
    """Whether another process has its working directory here."""
    try:
        return cwd.resolve() == workplace.resolve() and cwd.parent.name != str(os.getpid())
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_modules_are_imported_a_signal_ends_the_process(python: Command, number: int) -> None:
    """Some modules take any exception within their import for a sign that something is not installed."""
    code = f"""
import os, signal
from rnn_lightning.cli import signals
signal.signal(signal.SIGINT, signal.default_int_handler)
with signals.handled(), signals.starting():
    try:
        os.kill(os.getpid(), {int(number)})
    except BaseException:
        print("swallowed")
"""
    assert python(code) == (128 + number, "", "Stopped.\n")


def test_a_signal_that_was_swallowed_is_not_forgotten(workplace: Path) -> None:
    with signals.handled():
        with pytest.raises(signals.Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(signals.Stopped):
            signals.check()
    assert signals.noted() == 0


def test_a_signal_that_is_ignored_stays_so(workplace: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.handled():
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.noted() == 0


def test_the_handlers_are_gone_after_the_command(command: Command) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert command("fit", *TINY, "--trainer.max_epochs=1").code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_ctrl_c_in_a_terminal_leaves_the_processes_of_the_loader_at_work(workplace: Path, whole: Path) -> None:
    """It reaches all processes, and theirs are the batches that are still to be trained on."""
    stopped = forked("fit", *TINY, "--data.num_workers=1", moments=Moments.of_batches(4, signal.SIGINT, group=True))
    assert stopped.code == 130, stopped.said
    assert "To go on" in stopped.said
    assert forked("fit", "--resume").code == 0
    assert_same_end(only_run(), whole)
