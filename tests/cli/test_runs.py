"""Run folders: made without a collision, found by their names, and seen at a glance."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rnn_lightning.cli import runs
from rnn_lightning.cli.errors import TrainingError, UserError
from tests.conftest import Command

HEADER = "epoch,step,train_loss,val_accuracy,val_loss\n"
CONFIG = "model: {class_path: rnn_lightning.SequenceClassifier}\ndata: {class_path: rnn_lightning.Parity}\n"


def _made_up(name: str, *losses: float, monitor: str = "val_loss", mode: str = "min") -> Path:
    """A run folder with a row of training and one of validation an epoch."""
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"{CONFIG}checkpoint: {{monitor: {monitor}, mode: {mode}}}\n")
    rows = [f"{i},{9 * i + 8},,{1 - loss},{loss}\n{i},{9 * i + 8},0.7,,\n" for i, loss in enumerate(losses)]
    (folder / "metrics.csv").write_text(HEADER + "".join(rows))
    return folder


def _create(folder: str, start: Any, found: Any) -> None:
    os.chdir(folder)
    start.wait()  # until all of them are there
    found.put([runs.create("lstm-parity") for _ in range(25)])


def test_runs_that_start_at_once_in_many_processes_get_a_folder_each(workplace: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_create, args=(str(workplace), start, found)) for _ in range(4)]
    for process in processes:
        process.start()
    folders = [folder for _ in processes for folder in found.get(timeout=300)]
    for process in processes:
        process.join()
    assert len(set(folders)) == len(folders) == 100
    assert len(list(Path("runs/lstm-parity").iterdir())) == 100


@pytest.fixture
def several(workplace: Path) -> dict[str, Path]:
    names = {
        "first": "lstm-parity/2026-01-01_10-00-00",
        "second": "lstm-parity/2026-02-01_10-00-00",
        "twin": "lstm-parity/2026-02-01_10-00-00-2",
        "third": "gru-parity/2026-03-01_10-00-00",
        "other third": "rnn-parity/2026-03-01_10-00-00",
        "own name": "rnn-adding/my_best",
    }
    return {key: _made_up(name, 0.5) for key, name in names.items()}


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("2026-01", "first"),
        ("2026-01-01_10-00-00", "first"),
        ("lstm-parity/2026-01", "first"),
        ("runs/lstm-parity/2026-01", "first"),
        ("2026-02-01_10-00-00", "second"),  # a whole name, and the beginning of its twin's
        ("2026-02-01_10-00-00-", "twin"),
        ("lstm-parity/2026-02-01_10-00-00", "second"),
        ("gru", "third"),
        ("rnn-parity/2026-03-01_10-00-00", "other third"),
        ("my", "own name"),
        ("rnn-a", "own name"),
    ],
)
def test_a_run_is_named_by_how_its_name_begins(several: dict[str, Path], name: str, run: str) -> None:
    assert runs.find(name) == several[run]


def test_a_name_that_fits_several_runs_is_told(several: dict[str, Path]) -> None:
    with pytest.raises(UserError) as error:
        runs.find("2026-03-01_10-00-00")
    assert str(error.value) == (
        "'2026-03-01_10-00-00' fits 2 runs: gru-parity/2026-03-01_10-00-00, rnn-parity/2026-03-01_10-00-00"
    )
    with pytest.raises(UserError, match=r"'2026' fits 5 runs: \S+/2026-03\S+, \S+/2026-03\S+, \S+-2 and 2 more"):
        runs.find("2026")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("2026-01-01_10-00-01", "; did you mean '2026-01-01_10-00-00'?"),
        ("lstm-parity/2026-01-01_10-00-0O", "; did you mean 'lstm-parity/2026-01-01_10-00-00'?"),
        ("mybest", "; did you mean 'my_best'?"),
        ("nothing", ""),
        ("", ""),
        ("*", ""),
        ("/nowhere", ""),
        ("\0", ""),
    ],
)
def test_a_name_that_fits_none_is_told_with_the_nearest(several: dict[str, Path], name: str, near: str) -> None:
    with pytest.raises(UserError) as error:
        runs.find(name)
    assert str(error.value) == f"there is no run '{name}' under runs/{near}"


def test_what_is_known_of_a_run_is_seen_at_a_glance(workplace: Path) -> None:
    run = _made_up("stacked_bilstm-copy_memory/2026-01-02_03-04-05", 0.5, 0.25, 0.75)
    assert runs.overview() == [
        runs.Run(
            run,
            "stacked_bilstm",
            "copy_memory",
            "2026-01-02 03:04:05",
            "finished",
            3,
            {"val_loss": 0.25, "val_accuracy": 0.75},
            {},
        )
    ]
    (run / "test").mkdir()
    (run / "test" / "metrics.json").write_text(json.dumps({"checkpoint": "x", "test_loss": 0.3, "parameters": 9}))
    assert runs.overview()[0].test == {"test_loss": 0.3}


def test_the_quantity_that_decides_is_that_of_the_run(workplace: Path) -> None:
    _made_up("lstm-parity/2026-01-02_03-04-05", 0.5, 0.25, 0.75, 0.25, monitor="val_accuracy", mode="max")
    (run,) = runs.overview()
    assert list(run.best.items()) == [("val_accuracy", 0.75), ("val_loss", 0.25)]


def test_two_hundred_runs_come_newest_first(workplace: Path) -> None:
    for number in range(200):
        start = f"2026-01-01_10-{number // 60:02}-{number % 60:02}" if number % 3 else "2026-01-01_09-00-00"
        _made_up(f"lstm-parity/{start}" + ("" if number % 3 else f"-{number + 2}"), 1 / (number + 1))
    found = runs.overview()
    assert len(found) == 200
    assert found[0].folder.name == "2026-01-01_10-03-19"
    assert [run.start for run in found] == sorted((run.start for run in found), reverse=True)
    assert [run.folder.name[20:] for run in found[-67:]] == [str(number + 2) for number in range(198, -1, -3)]


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\0,\n\0" * 9, b"a,b\nc\n"], ids=["none", "empty", "bytes", "other"]
)
def test_damaged_metrics_are_no_metrics(workplace: Path, content: bytes | None) -> None:
    metrics = _made_up("lstm-parity/2026-01-02_03-04-05", 0.5, 0.25) / "metrics.csv"
    metrics.unlink()
    if content is not None:
        metrics.write_bytes(content)
    (run,) = runs.overview()
    assert (run.epochs, run.best) == (0, {})


def test_what_stands_before_the_damage_counts(workplace: Path) -> None:
    metrics = _made_up("lstm-parity/2026-01-02_03-04-05", 0.5) / "metrics.csv"
    metrics.write_text(f"{HEADER}0,8,,0.75,0.25\n1,17,,nan,nan\n2")
    (run,) = runs.overview()
    assert (run.epochs, run.best) == (3, {"val_loss": 0.25, "val_accuracy": 0.75})


@pytest.mark.parametrize(
    "content", ["", "checkpoint: {monitor: val", "- 1\n", "checkpoint: null\n", "a: \x00", "a: \x85é"]
)
def test_a_damaged_config_does_not_break_the_list(workplace: Path, content: str) -> None:
    run = _made_up("lstm-parity/2026-01-02_03-04-05", 0.5, 0.25)
    (run / "config.yaml").write_bytes(content.encode("latin-1"))
    (run / "test").mkdir()
    (run / "test" / "metrics.json").write_text('{"test_loss": [1')
    assert runs.overview() == [
        (run, "lstm", "parity", "2026-01-02 03:04:05", "finished", 2, {"val_loss": 0.25, "val_accuracy": 0.75}, {})
    ]


def test_other_things_under_runs_are_no_runs(workplace: Path) -> None:
    assert runs.overview() == []
    run = _made_up("lstm-parity/2026-01-02_03-04-05", 0.5)
    Path("runs/notes.txt").touch()
    Path("runs/lstm-parity/seeds_2026-01-02_03-04-05.json").touch()
    Path("runs/lstm-parity/empty").mkdir()
    assert [found.folder for found in runs.overview()] == [run]


@pytest.mark.skipif(sys.platform == "win32", reason="no flock there")
def test_the_state_of_a_run_is_known(workplace: Path) -> None:
    run = _made_up("lstm-parity/2026-01-02_03-04-05", 0.5)

    def state() -> str:
        return runs.at_a_glance(run).state

    def in_training(error: BaseException) -> None:
        with pytest.raises(type(error)), runs.in_training(run):
            raise error

    with runs.in_training(run):
        assert state() == "running"
        with pytest.raises(UserError, match="is being trained by another process"), runs.in_training(run):
            pass
        assert state() == "running"
    assert state() == "finished"
    in_training(ValueError("the checkpoint is of another model"))  # which is said before it begins
    assert state() == "finished"
    in_training(KeyboardInterrupt())
    assert state() == "stopped"
    with runs.in_training(run):
        pass
    in_training(TrainingError("the loss is nan"))
    assert state() == "stopped"
    in_training(ValueError("the checkpoint is of another model"))
    assert state() == "stopped"
    with runs.in_training(run):
        pass
    assert state() == "finished"


def test_the_list_needs_no_torch(python: Command) -> None:
    code = "import sys; from rnn_lightning.cli import runs; runs.overview(); print('torch' in sys.modules)"
    assert python(code).out == "False\n"
