"""TimeProfile: each moment belongs to one part, so the parts add up to the whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.profilers import PassThroughProfiler

from rnn_lightning import SequenceClassifier, SyntheticSequences
from rnn_lightning.callbacks import TimeProfile
from rnn_lightning.callbacks.profile import PARTS, Stopwatch, table
from tests.tasks.helpers import silent_trainer

ACTIONS = {
    "[_TrainingEpochLoop].train_dataloader_next": "data",
    "[Strategy]SingleDeviceStrategy.batch_to_device": "data",
    "[Strategy]SingleDeviceStrategy.training_step": "forward",
    "[Strategy]SingleDeviceStrategy.backward": "backward",
    "[LightningModule]SequenceClassifier.optimizer_step": "optimizer",
    "[LightningModule]SequenceClassifier.configure_gradient_clipping": "optimizer",
    "[Callback]Journal.on_train_epoch_end": "callbacks",
    "save_checkpoint": "checkpoints",
}


class Clock:
    """A clock that is told what time it is."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("action", "part"), ACTIONS.items())
def test_what_lightning_does_belongs_to_a_part(action: str, part: str) -> None:
    clock = Clock()
    watch = Stopwatch(lambda: False, clock)
    with watch.profile(action):
        clock.now = 3.0
    clock.now = 5.0
    watch.lap()
    assert watch.seconds == {**dict.fromkeys(PARTS, 0.0), part: 3.0, "everything else": 2.0}


def test_what_is_within_something_else_counts_once() -> None:
    clock = Clock()
    watch = Stopwatch(lambda: False, clock)
    with watch.profile("run_training_epoch"):
        clock.now = 1.0
        with watch.profile("[LightningModule]Model.optimizer_step"):
            clock.now = 3.0
            with watch.profile("[Strategy]S.training_step"):
                clock.now = 7.0
            with watch.profile("[LightningModule]Model.on_after_something_new"):
                clock.now = 15.0
            clock.now = 31.0
    assert {part: spent for part, spent in watch.seconds.items() if spent} == {
        "everything else": 1.0,
        "optimizer": 2.0 + 8.0 + 16.0,
        "forward": 4.0,
    }


def test_validation_has_all_that_happens_in_it_but_checkpoints() -> None:
    clock, validating = Clock(), [True]
    watch = Stopwatch(lambda: validating[0], clock)
    for action in ("[_EvaluationLoop].val_next", "[Strategy]S.batch_to_device", "[Callback]A.on_validation_start"):
        with watch.profile(action):
            clock.now += 1.0
    with (
        watch.profile("[Callback]Checkpoint.on_validation_end"),
        watch.profile("save_checkpoint"),
        watch.profile("[Callback]Other.on_save_checkpoint"),
    ):
        clock.now += 10.0
    watch.lap()
    assert watch.seconds["validation"] == 3.0
    assert watch.seconds["checkpoints"] == 10.0


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "wait", "validate"]), st.sampled_from([*ACTIONS, "new"]))))
def test_the_parts_always_add_up_to_the_whole(events: list[tuple[str, str]]) -> None:
    clock, validating, begun = Clock(), [False], []
    watch = Stopwatch(lambda: validating[0], clock)
    for number, (event, action) in enumerate(events):
        clock.now += 2.0 ** (number % 30)
        if event == "begin":
            watch.start(action)
            begun.append(action)
        elif event == "end" and begun:
            watch.stop(begun.pop())
        elif event == "validate":
            watch.lap()
            validating[0] = not validating[0]
    watch.lap()
    assert sum(watch.seconds.values()) == clock.now
    if clock.now:
        rows = table(watch.seconds, 7)
        assert sum(share for part, _, share, _ in rows if part != "total") == pytest.approx(1.0)
        assert rows[-1] == ("total", clock.now, 1.0, pytest.approx(1000 * clock.now / 7))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _data() -> SyntheticSequences:
    return SyntheticSequences(num_train=80, num_val=16, num_test=16, batch_size=8)


def test_a_training_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = TimeProfile()
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[profile], max_epochs=2)
    trainer.fit(SequenceClassifier(hidden_size=4), datamodule=_data())
    rows = _read(tmp_path / "profile.csv")
    assert [row["part"] for row in rows] == [*PARTS, "total"]
    *parts, total = ({name: float(row[name]) for name in ("seconds", "share", "ms_per_batch")} for row in rows)
    for name in ("seconds", "share", "ms_per_batch"):
        assert sum(part[name] for part in parts) == pytest.approx(total[name])
    for row in rows:
        assert float(row["ms_per_batch"]) == pytest.approx(1000 * float(row["seconds"]) / 20)
    assert all(float(row["seconds"]) > 0 for row in rows if row["part"] != "checkpoints")
    said = capsys.readouterr().out.splitlines()
    start = said.index("Where the time of 20 batches went:")
    assert len(said[start:]) == 12
    assert [line[2:17].strip() for line in said[start + 2 : -1]] == [*PARTS, "total"]
    assert "sequences a second" in said[-1]
    assert isinstance(trainer.profiler, PassThroughProfiler)


def test_a_training_that_fails_is_told_too(tmp_path: Path) -> None:
    class Failing(SequenceClassifier):
        def on_train_epoch_end(self) -> None:
            raise RuntimeError("for a test")

    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[TimeProfile()], max_epochs=2)
    with pytest.raises(RuntimeError, match="for a test"):
        trainer.fit(Failing(hidden_size=4), datamodule=_data())
    assert _read(tmp_path / "profile.csv")[-1]["part"] == "total"


def test_a_second_profiler_is_refused(tmp_path: Path) -> None:
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[TimeProfile()], profiler="simple")
    with pytest.raises(ValueError, match=r"TimeProfile and trainer\.profiler do the same: leave out one of them"):
        trainer.fit(SequenceClassifier(hidden_size=4), datamodule=_data())


def test_any_batches_are_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import lightning.pytorch as pl
    import torch

    class Plain(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.map = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.map(batch).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

        def train_dataloader(self) -> Iterator[Any]:
            return iter([torch.ones(3, 2)] * 4)

    silent_trainer(default_root_dir=str(tmp_path), callbacks=[TimeProfile()], max_epochs=1).fit(Plain())
    said = capsys.readouterr().out
    assert "Where the time of 4 batches went:" in said
    assert "sequences a second" not in said
