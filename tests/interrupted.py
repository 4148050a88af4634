"""A training that is kept wherever it could be interrupted, and gone on with from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback

from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping, LastCheckpoint, Together
from rnn_lightning.callbacks.journal import Journal
from rnn_lightning.callbacks.records import Metrics, Rows
from rnn_lightning.resuming import is_between_steps
from rnn_lightning.tasks.base import SequenceTask
from tests.tasks.helpers import silent_trainer

Optimizers = Callable[[list[torch.nn.Parameter]], Any]


class Training(NamedTuple):
    """How a model is trained on which data; each call of the two gives a new object."""

    model: Callable[[], SequenceTask]
    data: Callable[[], pl.LightningDataModule]
    optimizers: Optimizers
    options: dict[str, Any]
    seed: int = 7

    def run(self, folder: Path, start: Path | None = None, goes_on: bool = True, more: Callback | None = None) -> Path:
        """Trains as the command does, in this folder."""
        model = self.model()
        model.configure_optimizers = lambda: self.optimizers(list(model.parameters()))  # type: ignore[method-assign]
        callbacks = [Together(), EarlyStopping(patience=2), Checkpoint(), LastCheckpoint()]
        goes_on = goes_on and start is not None
        callbacks += [Journal(goes_on), Rows(goes_on), *([more] if more else [])]
        trainer = silent_trainer(
            **{"max_epochs": 3, "gradient_clip_val": 1.0, **self.options},
            **{"logger": [Metrics(folder)], "default_root_dir": folder, "enable_checkpointing": True},
            callbacks=callbacks,
        )
        pl.seed_everything(self.seed, verbose=False)
        trainer.fit(model, datamodule=self.data(), ckpt_path=start, weights_only=True)
        return folder


class Keeper(Callback):
    """Keeps the run folder, with a checkpoint in it, at the end of each batch of training and validation."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.kept: list[Path] = []
        self.left_out = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Between this batch and the next."""
        self._keep(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Within a validation."""
        if not trainer.sanity_checking:
            self._keep(trainer)

    def _keep(self, trainer: pl.Trainer) -> None:
        if not is_between_steps(trainer):
            self.left_out += 1
            return
        folder = self.to / f"{len(self.kept):02}-{'validation' if trainer.validating else 'training'}"
        shutil.copytree(trainer.default_root_dir, folder)
        trainer.save_checkpoint(folder / "here.ckpt")
        self.kept.append(folder)


def outcome(folder: Path, part: str = "last") -> dict[str, Any]:
    """All that a training leaves, but for the names of files and folders."""
    content = torch.load(folder / "checkpoints" / f"{part}.ckpt", weights_only=True)
    callbacks = content.pop("callbacks")
    content["loops"] = content["loops"]["fit_loop"]["epoch_progress"]
    kept = {key: value for key, value in callbacks.items() if key.startswith(("Journal", "EarlyStopping", "Rows"))}
    scores = {key: value["best_model_score"] for key, value in callbacks.items() if "best_model_score" in value}
    return {**content, **kept, **scores}


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """The places where two outcomes are not the same to the last bit."""
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
        return [] if same else [name]
    if isinstance(one, dict) and isinstance(other, dict):
        odd = [f"{name}.{key}" for key in one.keys() ^ other.keys()]
        return odd + [
            d for key in one.keys() & other.keys() for d in differences(one[key], other[key], f"{name}.{key}")
        ]
    if isinstance(one, list | tuple) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{name}.{i}")]
    return [] if one == other else [name]


def assert_same(folder: Path, whole: Path, parts: tuple[str, ...] = ("last", "best")) -> None:
    """Holds two runs to be the same: every tensor of their checkpoints, and every row of metrics.csv."""
    for part in parts:
        assert not differences(outcome(folder, part), outcome(whole, part)), f"{part} of {folder}"
    assert (folder / "metrics.csv").read_text() == (whole / "metrics.csv").read_text(), folder
