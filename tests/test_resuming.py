"""A training that goes on from any checkpoint ends as one that was never interrupted: to the last bit, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from rnn_lightning import SequenceClassifier, SyntheticSequences
from rnn_lightning.tasks.schedule import OneCycle
from tests.interrupted import Keeper, Training, assert_same

SIZES = {"num_train": 38, "num_val": 12, "num_test": 8, "batch_size": 8}
"""Five batches an epoch, the last one shorter than the others, and two of validation."""


def _plateau(parameters: list[torch.nn.Parameter]) -> Any:
    optimizer = torch.optim.AdamW(parameters, lr=0.05)
    schedule = ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


def _one_cycle(parameters: list[torch.nn.Parameter]) -> Any:
    optimizer = torch.optim.AdamW(parameters, lr=0.05)
    schedule = OneCycle(optimizer)
    schedule.total_steps = 15
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _exponential(parameters: list[torch.nn.Parameter]) -> Any:
    optimizer = torch.optim.SGD(parameters, lr=0.5, momentum=0.9)
    return {"optimizer": optimizer, "lr_scheduler": ExponentialLR(optimizer, 0.5)}


def _classifier() -> SequenceClassifier:
    return SequenceClassifier(hidden_size=4, num_layers=2, layer_dropout=0.3, dropout=0.4, batch_norm=True)


def _features() -> SyntheticSequences:
    return SyntheticSequences(**SIZES)


@pytest.mark.parametrize(
    ("optimizers", "options"),
    [
        (_plateau, {}),
        (_plateau, {"val_check_interval": 2}),
        (_one_cycle, {"accumulate_grad_batches": 2, "val_check_interval": 3}),
        (_exponential, {"max_epochs": -1, "max_steps": 14}),
        (_exponential, {"check_val_every_n_epoch": 2, "limit_train_batches": 4}),
        (_one_cycle, {"check_val_every_n_epoch": None, "val_check_interval": 4}),
    ],
    ids=lambda value: "-".join(value) or "default" if isinstance(value, dict) else value.__name__.strip("_"),
)
def test_it_goes_on_from_the_end_of_any_batch(tmp_path: Path, optimizers: Any, options: dict[str, Any]) -> None:
    training = Training(_classifier, _features, optimizers, options)
    keeper = Keeper(tmp_path / "kept")
    whole = training.run(tmp_path / "whole", more=keeper)
    for folder in keeper.kept:
        assert_same(training.run(folder, folder / "here.ckpt"), whole)
    print(len(keeper.kept), keeper.left_out)
