"""Disks that are full or read only, and files that are gone."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rnn_lightning.cli import runs
from rnn_lightning.tasks.loading import read_checkpoint
from tests.cli.helpers import epochs, files, only_run
from tests.conftest import SMALL, SMALL_REVIEWS, Command
from tests.faults import fault
from tests.faults.conftest import Disk, InEpoch

LONG = (*SMALL, "--trainer.max_epochs=4", "--early_stopping=null")
Seen = Callable[[str], None]


@pytest.fixture
def runs_on_disk(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A small disk that has the run folders."""
    monkeypatch.setenv(runs.ROOT_VARIABLE, "disk/runs")
    return disk


def _run() -> Path:
    (run,) = Path("disk/runs").glob("*/*")
    return run


def _sound(run: Path) -> list[int]:
    """The epochs of a run's checkpoints, best, last and previous, all whole; holds nothing else to be left of them."""
    kept = sorted((run / "checkpoints").iterdir())
    assert {path.suffix for path in kept} == {".ckpt"}
    return [read_checkpoint(path)["epoch"] + 1 for path in kept]


@fault(
    what="The disk is full when a checkpoint is written",
    injected="a disk of 4 MB, filled up within epoch 3",
    seen="`checkpoints/...: No space left on device (after step ..., epoch 3); the last good checkpoint is ...` and "
    "`Make room there. To go on: rnn-lightning fit --resume`; exit code 1. No half of a checkpoint stays",
    lost="nothing but the epoch: `fit --resume` ends with the weights of a training that had room",
)
def test_a_checkpoint_that_has_no_room_leaves_the_one_before(
    command: Command, seen: Seen, runs_on_disk: Disk, in_epoch: InEpoch
) -> None:
    assert command("fit", *LONG).code == 0
    whole = Path(shutil.move(_run(), "whole"))
    in_epoch(3, runs_on_disk.fill)
    result = command("fit", *LONG)
    assert result.code == 1
    seen(result.err)
    assert 2 in _sound(_run())
    runs_on_disk.empty()
    assert command("fit", "--resume").code == 0
    after, expected = (read_checkpoint(run / runs.LAST)["state_dict"] for run in (_run(), whole))
    assert all(torch.equal(after[name], expected[name]) for name in expected)


@fault(
    what="The disk is full when metrics.csv grows",
    injected="a training that keeps no checkpoint, on a disk of 4 MB that is filled up within epoch 3",
    seen="`metrics.csv: No space left on device (after step ..., epoch 3); no checkpoint was kept`; exit code 1",
    lost="the measurements of that epoch; those before are readable",
)
def test_measurements_that_have_no_room_leave_those_before(
    command: Command, seen: Seen, runs_on_disk: Disk, in_epoch: InEpoch
) -> None:
    def fill() -> None:
        metrics = _run() / "metrics.csv"
        metrics.write_bytes(metrics.read_bytes().ljust(4096, b"\n"))  # else there is room to the end of the page
        runs_on_disk.fill()

    in_epoch(3, fill)
    result = command("fit", *LONG, "--checkpoint=null")
    assert result.code == 1
    seen(result.err)
    assert len(epochs(_run())) == 2


@fault(
    what="The disk is full when a training begins",
    injected="a disk of 4 MB that is full",
    seen="`No space left on device`; exit code 1 or 2, and no run folder stays",
    lost="nothing",
)
def test_a_run_that_has_no_room_leaves_no_folder(command: Command, seen: Seen, runs_on_disk: Disk) -> None:
    runs_on_disk.fill()
    result = command("fit", *LONG)
    assert result.code in (1, 2)
    seen(result.err)
    assert "Traceback" not in result.err
    assert files(runs_on_disk.folder) == ["ballast"]


@fault(
    what="The disk is full when texts are prepared",
    injected="a cache folder on a disk of 4 MB that is full",
    seen="`cannot write the cache folder ...: No space left on device; the environment variable XDG_CACHE_HOME moves "
    "it`; exit code 2, and no half of it stays",
    lost="nothing",
)
def test_a_cache_that_has_no_room_leaves_nothing(
    command: Command, seen: Seen, disk: Disk, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk.folder))
    disk.fill(left=8192)
    result = command("fit", *SMALL_REVIEWS, f"--data.path={archive}")
    assert result.code == 2
    seen(result.err)
    assert not list((disk.folder / "rnn-lightning").glob("imdb-*"))
    disk.empty()
    assert command("fit", *SMALL_REVIEWS, f"--data.path={archive}", "--trainer.max_epochs=1").code == 0


@fault(
    what="The disk is full when predictions are written",
    injected="`predict --output` into a disk of 4 MB that is full",
    seen="`out.jsonl cannot be written: No space left on device`; the predictions that stood there before stay whole",
    lost="nothing",
)
def test_predictions_that_have_no_room_leave_those_before(
    command: Command, seen: Seen, feature_run: Path, disk: Disk
) -> None:
    out = disk.folder / "out.jsonl"
    out.write_text("earlier\n")
    disk.fill()
    result = command("predict", f"--output={out}")
    assert result.code == 2
    seen(result.err)
    assert out.read_text() == "earlier\n"
    assert files(disk.folder) == ["ballast", "out.jsonl"]


@fault(
    what="The disk is full when scores are kept",
    injected="`test` of a run on a disk of 4 MB that is full",
    seen="`test/metrics.json cannot be written: No space left on device`; no half of a file stays",
    lost="the scores: `test` gives the same once there is room",
)
def test_scores_that_have_no_room_leave_nothing(
    command: Command, seen: Seen, feature_run: Path, runs_on_disk: Disk
) -> None:
    run = Path(shutil.copytree(feature_run, "disk/runs/lstm-synthetic/2026-01-01_00-00-00"))
    runs_on_disk.fill()
    result = command("test")
    assert result.code != 0
    seen(result.err)
    assert not (run / "test").is_dir() or files(run / "test") == []
    runs_on_disk.empty()
    assert command("test").code == 0


@fault(
    what="The disk is full when a page of runs is written",
    injected="`report --output` into a disk of 4 MB that is full",
    seen="`page/... cannot be written: No space left on device`; the page that stood there before stays whole",
    lost="nothing",
)
def test_a_page_that_has_no_room_leaves_the_one_before(
    command: Command, seen: Seen, feature_run: Path, disk: Disk
) -> None:
    page = disk.folder / "page" / "report.html"
    page.parent.mkdir()
    page.write_text("earlier")
    disk.fill()
    result = command("report", feature_run, f"--output={page.parent}")
    assert result.code == 2
    seen(result.err)
    assert files(disk.folder) == ["ballast", "page/report.html"]
    assert page.read_text() == "earlier"


@fault(
    what="A disk becomes read only during a training, as one does that fails",
    injected="the run folder mounted read only within epoch 3",
    seen="`Read-only file system (after step ..., epoch 3); the last good checkpoint is ...last.ckpt (epoch 2)` and "
    "`Make it writable. To go on: rnn-lightning fit --resume`; exit code 1",
    lost="the epoch",
)
def test_a_disk_that_becomes_read_only_ends_the_training_with_what_was_kept(
    command: Command, seen: Seen, in_epoch: InEpoch, read_only: Callable[[Path], None], workplace: Path
) -> None:
    in_epoch(3, lambda: read_only(workplace / "runs"))
    result = command("fit", *LONG)
    assert result.code == 1
    seen(result.err)
    assert _sound(only_run()) == [2, 2, 1]


@fault(
    what="The folder for runs is read only",
    injected="runs/ mounted read only before the training",
    seen="`the run folder runs/... cannot be made: Read-only file system`; exit code 2",
    lost="nothing",
)
def test_a_run_folder_on_a_disk_that_is_read_only_is_told(
    command: Command, seen: Seen, read_only: Callable[[Path], None], workplace: Path
) -> None:
    (workplace / "runs").mkdir()
    read_only(workplace / "runs")
    result = command("fit", *SMALL)
    assert result.code == 2
    seen(result.err)


@fault(
    what="A file stands where the runs are to be",
    injected="a file named runs",
    seen="`the run folder runs/... cannot be made: Not a directory`; exit code 2, the file is left",
    lost="nothing",
)
def test_a_file_in_the_place_of_the_runs_is_told(command: Command, seen: Seen) -> None:
    Path("runs").write_text("a file")
    result = command("fit", *SMALL)
    assert result.code == 2
    seen(result.err)
    assert Path("runs").read_text() == "a file"


@fault(
    what="The run folder is deleted during the training",
    injected="runs/ deleted within epoch 2",
    seen="`the run folder runs/... is gone (after step ..., epoch 2); no checkpoint was kept`; exit code 1",
    lost="the run",
)
def test_a_run_folder_that_is_deleted_ends_the_training(command: Command, seen: Seen, in_epoch: InEpoch) -> None:
    in_epoch(2, lambda: shutil.rmtree("runs"))
    result = command("fit", *LONG)
    assert result.code == 1
    seen(result.err)


@fault(
    what="Too many files are open",
    injected="no further file may be opened from epoch 3 on (RLIMIT_NOFILE)",
    seen="`Too many open files (after step ..., epoch 3); the last good checkpoint is ...` and "
    "`Allow more open files (ulimit -n). To go on: rnn-lightning fit --resume`; exit code 1",
    lost="the epoch",
)
def test_too_many_open_files_end_the_training_with_what_was_kept(
    command: Command, seen: Seen, in_epoch: InEpoch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_epoch(3, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1])))
    try:
        result = command("fit", *LONG)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert result.code == 1
    seen(result.err)
    assert 2 in _sound(only_run())


@fault(
    what="A folder has the name of a file that is to be written",
    injected="a folder test/metrics.json in the run folder, then `test`",
    seen="`test/metrics.json cannot be written: Is a directory`; exit code 2",
    lost="nothing",
)
def test_a_folder_in_the_place_of_a_file_is_told(command: Command, seen: Seen, feature_run: Path) -> None:
    (feature_run / "test" / "metrics.json").mkdir(parents=True)
    result = command("test")
    assert result.code == 2
    seen(result.err)
