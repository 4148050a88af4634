"""One line an epoch, and at the end why it stopped and what was best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping, LastCheckpoint
from rnn_lightning.callbacks.journal import Journal, in_words
from tests.tasks.helpers import loader, silent_trainer


class Scripted(pl.LightningModule):
    """Its validation losses are written down beforehand; its weight is the number of the epoch."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.losses = losses

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        with torch.no_grad():
            self.weight.fill_(self.current_epoch + 1)
        self.log("train_loss", float(self.current_epoch), on_epoch=True, on_step=False)
        return 0 * self.weight

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.losses[self.current_epoch])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def _told(
    losses: list[float], folder: Path, capsys: pytest.CaptureFixture[str], *callbacks: Any, **options: Any
) -> list:
    trainer = silent_trainer(
        callbacks=[*callbacks, Journal()],
        default_root_dir=str(folder),
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        **{"max_epochs": len(losses), "num_sanity_val_steps": 0, **options},
    )
    capsys.readouterr()
    batches: Any = [torch.zeros(1)]
    trainer.fit(Scripted(losses), loader(batches), loader(batches))
    return capsys.readouterr().out.splitlines()


def _epoch_of(path: Path) -> float:
    weight: Tensor = torch.load(path, weights_only=True)["state_dict"]["weight"]
    return weight.item()


def test_each_epoch_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _told([0.5, 0.25], tmp_path, capsys) == [
        "epoch 1/2  0:00  train_loss 0.0000  val_loss 0.5000",
        "epoch 2/2  0:00  train_loss 1.0000  val_loss 0.2500",
    ]


def test_an_endless_training_has_a_question_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _told([0.5], tmp_path, capsys, max_epochs=-1, max_steps=1)[0].startswith("epoch 1/?  ")


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([0.5, 0.25, 0.75], 2),
        ([0.5, 0.6, 0.7], 1),
        ([0.7, 0.6, 0.5], 3),
        ([0.5, 0.5, 0.5], 1),
        ([0.5, math.nan, 0.4], 3),
    ],
    ids=str,
)
def test_the_best_epoch_is_told_and_kept(
    losses: list[float], best: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _told(losses, tmp_path, capsys, Checkpoint(), LastCheckpoint())
    path = tmp_path / "checkpoints" / "best.ckpt"
    assert lines[-2:] == [f"Best: epoch {best}, val_loss {losses[best - 1]:.4f}", f"      {path}"]
    assert _epoch_of(path) == best
    assert _epoch_of(path.with_name("last.ckpt")) == len(losses)
    assert sorted(file.name for file in path.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_the_highest_can_be_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _told([0.5, 0.75, 0.25], tmp_path, capsys, Checkpoint("val_loss", "max"))
    assert lines[-2] == "Best: epoch 2, val_loss 0.7500"
    assert _epoch_of(tmp_path / "checkpoints" / "best.ckpt") == 2


def test_without_checkpoints_there_is_no_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(_told([0.5, 0.25], tmp_path, capsys)) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("losses", "options", "last"),
    [
        ([0.5, 0.6, 0.7, 0.1], {"patience": 2}, "Stopped early after epoch 3: val_loss has not improved for 2 epochs."),
        ([0.5, 0.4, 0.5, 0.1], {"patience": 1}, "Stopped early after epoch 3: val_loss has not improved for 1 epochs."),
        (
            [0.5, 0.45, 0.41, 0.1],
            {"patience": 2, "min_delta": 0.1},
            "Stopped early after epoch 3: val_loss has not improved for 2 epochs.",
        ),
        ([math.nan, 0.5], {"patience": 4}, "Stopped early after epoch 1: val_loss is no finite number."),
        ([0.5, math.inf, 0.5], {"patience": 4}, "Stopped early after epoch 2: val_loss is no finite number."),
        ([0.5, 0.6], {"patience": 2}, "epoch 2/2  0:00  train_loss 1.0000  val_loss 0.6000"),
    ],
    ids=str,
)
def test_it_says_why_the_training_stopped_early(
    losses: list[float], options: dict[str, Any], last: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _told(losses, tmp_path, capsys, EarlyStopping(**options))[-1] == last


def test_measurements_are_written_with_four_digits() -> None:
    assert in_words({"val_loss": 0.123456, "val_accuracy": 1.0}) == "val_loss 0.1235  val_accuracy 1.0000"
    assert in_words({}) == ""
