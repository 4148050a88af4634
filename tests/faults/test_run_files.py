"""Files of a run that are damaged, gone, or of another version."""

from __future__ import annotations

import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rnn_lightning.cli import runs
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.cli.helpers import epochs
from tests.conftest import Command
from tests.faults import fault

Seen = Callable[[str], None]
MORE = ("fit", "--resume", "--trainer.max_epochs=3")


def _damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "byte":
        with zipfile.ZipFile(path) as file:  # between its parts there are bytes that nobody reads
            largest = max(file.infolist(), key=lambda part: part.file_size)
        # Behind the part's header, its name and what fills up to the next page, as both say how long they are.
        name, filling = struct.unpack("<HH", content[largest.header_offset + 26 : largest.header_offset + 30])
        content[largest.header_offset + 30 + name + filling + largest.file_size // 2] ^= 1
    path.write_bytes(content[: len(content) // 2] if how == "cut" else content)


@fault(
    what="last.ckpt is cut off, or has a byte that is another",
    injected="each of these done to the file, then `fit --resume`",
    seen="`last.ckpt is`... `damaged`: the checkpoint before it is taken; exit code 0",
    lost="what lies between the two",
)
@pytest.mark.parametrize("how", ["cut", "byte"])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(
    command: Command, seen: Seen, feature_run: Path, how: str
) -> None:
    _damage(feature_run / runs.LAST, how)
    result = command(*MORE)
    assert result.code == 0
    seen(result.err)
    assert len(epochs(feature_run)) == 3


@fault(
    what="best.ckpt has a byte that is another",
    injected="a byte of a weight changed, then `test`",
    seen="`best.ckpt is a damaged checkpoint: ... in it is not as it was written`; exit code 2, no score",
    lost="the best checkpoint; `--ckpt_path last` is there",
)
def test_a_damaged_best_checkpoint_is_not_scored(command: Command, seen: Seen, feature_run: Path) -> None:
    _damage(feature_run / runs.BEST, "byte")
    result = command("test")
    assert result.code == 2
    assert "test_" not in result.out
    seen(result.err)
    assert command("test", "--ckpt_path=last").code == 0


@fault(
    what="best.ckpt is gone",
    injected="the file deleted, then `test`",
    seen="`no run under runs/ to test`; exit code 2: a run without it is not taken for the newest",
    lost="the best checkpoint; `--run RUN --ckpt_path last` is there",
)
def test_a_run_without_its_best_checkpoint_is_not_scored(command: Command, seen: Seen, feature_run: Path) -> None:
    (feature_run / runs.BEST).unlink()
    result = command("test")
    assert result.code == 2
    seen(result.err)
    assert command("test", "--run", feature_run, "--ckpt_path=last").code == 0


@fault(
    what="config.yaml of a run is damaged",
    injected="cut off within a line, then `fit --resume`",
    seen="`config.yaml is not the config of a run`; exit code 2, and nothing is written",
    lost="nothing: the checkpoints stand by themselves, `fit --ckpt_path` begins a new run with them",
)
def test_a_damaged_config_of_a_run_is_told(command: Command, seen: Seen, feature_run: Path) -> None:
    config = feature_run / runs.CONFIG
    text = config.read_text("utf-8")
    config.write_text(text[: text.index("class_path:") + 5], "utf-8")
    result = command(*MORE)
    assert result.code == 2
    seen(result.err)


@fault(
    what="metrics.csv ends in half a line",
    injected="its last line cut in two, then `fit --resume`",
    seen="the training goes on, `epoch 3/3`; exit code 0",
    lost="the measurements in that line",
)
def test_half_a_line_of_measurements_does_not_stop_it(command: Command, seen: Seen, feature_run: Path) -> None:
    metrics = feature_run / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:-9])
    assert command("list", "runs").code == 0
    result = command(*MORE)
    assert result.code == 0
    seen(result.out)
    assert set(epochs(feature_run)[2]) >= {"train_loss", "val_loss"}


def _rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@fault(
    what="A checkpoint of a newer version",
    injected="a checkpoint that names version 99.0 and an option that this one does not know",
    seen="`the checkpoint was written by rnn-lightning 99.0 and cannot be loaded: ...unexpected keyword argument`; "
    "exit code 2",
    lost="nothing: the newer version reads it",
)
def test_a_checkpoint_of_a_newer_version_is_told(command: Command, seen: Seen, feature_run: Path) -> None:
    def newer(checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT_KEY]["version"] = "99.0"
        checkpoint["hyper_parameters"]["new_option"] = 1

    _rewritten(feature_run / runs.BEST, newer)
    result = command("test")
    assert result.code == 2
    seen(result.err)


@fault(
    what="Two trainings go on with one run",
    injected="`fit --resume` of a run that is being trained",
    seen="`the run runs/... is being trained by another process`; exit code 2, and nothing is written",
    lost="nothing",
)
def test_a_run_has_one_training_at_a_time(command: Command, seen: Seen, feature_run: Path) -> None:
    with runs.in_training(feature_run):
        result = command(*MORE)
    assert result.code == 2
    seen(result.err)
    assert command(*MORE).code == 0


@fault(
    what="A run folder is copied or moved while nobody trains in it",
    injected="the folder moved, then `fit --resume` with its new path",
    seen="the training goes on there, `epoch 3/3`; exit code 0",
    lost="nothing",
)
def test_a_run_that_was_moved_goes_on_where_it_is(command: Command, seen: Seen, feature_run: Path) -> None:
    shutil.move(feature_run, "elsewhere")
    result = command("fit", "--resume", "elsewhere", "--trainer.max_epochs=3")
    assert result.code == 0
    seen(result.out)
    assert len(epochs(Path("elsewhere"))) == 3
