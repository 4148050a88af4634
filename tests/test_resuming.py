"""A training that goes on from any checkpoint ends as one that was never interrupted: to the last bit, on a CPU."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from rnn_lightning import (
    LanguageModel,
    NextWord,
    SelectiveCopy,
    SequenceClassifier,
    SequenceTagger,
    SyntheticSequences,
    TextFiles,
)
from rnn_lightning.resuming import seed_batch
from rnn_lightning.tasks.schedule import OneCycle
from tests.cli.helpers import epochs
from tests.interrupted import Keeper, Training, assert_same, differences, outcome

pytestmark = pytest.mark.filterwarnings(
    "ignore:Checkpoint directory .* exists", "ignore:The dirpath has changed", "ignore:The number of training batches"
)
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


def _still(parameters: list[torch.nn.Parameter]) -> Any:
    return torch.optim.SGD(parameters, lr=0.0)


def _classifier() -> SequenceClassifier:
    return SequenceClassifier(hidden_size=4, num_layers=2, layer_dropout=0.3, dropout=0.4, batch_norm=True)


def _features() -> SyntheticSequences:
    return SyntheticSequences(**SIZES)


@pytest.mark.parametrize(
    ("optimizers", "options"),
    [
        (_plateau, {}),
        (_plateau, {"max_epochs": 2, "val_check_interval": 2}),
        (_one_cycle, {"max_epochs": 2, "accumulate_grad_batches": 2, "val_check_interval": 3}),
        (_exponential, {"max_epochs": -1, "max_steps": 9}),
        (_exponential, {"check_val_every_n_epoch": 2, "limit_train_batches": 2}),
        (_one_cycle, {"max_epochs": 2, "check_val_every_n_epoch": None, "val_check_interval": 4}),
    ],
    ids=lambda value: "-".join(value) or "default" if isinstance(value, dict) else value.__name__.strip("_"),
)
def test_it_goes_on_from_the_end_of_any_batch(tmp_path: Path, optimizers: Any, options: dict[str, Any]) -> None:
    training = Training(_classifier, _features, optimizers, options)
    keeper = Keeper(tmp_path / "kept")
    whole = training.run(tmp_path / "whole", more=keeper)
    assert (keeper.left_out > 0) == ("accumulate_grad_batches" in options or "max_steps" in options)
    epoch = next(folder for folder in keeper.kept if (folder / "checkpoints" / "last.ckpt").is_file())
    between = Path(shutil.copytree(epoch, tmp_path / "between"))
    assert_same(training.run(between, between / "checkpoints" / "last.ckpt"), whole)
    for number, folder in enumerate(keeper.kept):
        if number % 2:  # as if it had gone on, and that checkpoint had been lost
            shutil.copy(whole / "metrics.csv", folder)
        assert_same(training.run(folder, folder / "here.ckpt"), whole)


DROPPED = {
    "embedding_size": 5,
    "embedding_dropout": 0.2,
    "word_dropout": 0.2,
    "num_layers": 2,
    "hidden_size": 4,
    "layer_dropout": 0.3,
    "dropout": 0.3,
}
NORMALISED = {"cell": "lstm_ln", "cell_options": {"recurrent_dropout": 0.2, "zoneout": 0.2}}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words of a text to go on with, and the same as lines with a class."""
    words = [f"w{i * i % 23}" for i in range(400)]
    (tmp_path / "text").write_text(" ".join(words))
    rows = [f"{' '.join(words[i : i + 2 + i % 7])},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "text.csv").write_text("\n".join(["text,label", *rows]))
    return tmp_path


KINDS: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "classifier of texts": (
        lambda: SequenceClassifier(**DROPPED, **NORMALISED, pooling="mean", batch_norm=True),
        lambda folder: TextFiles(str(folder / "text.csv"), batch_size=8, vocab_size=30),
        _plateau,
        {},
    ),
    "tagger": (
        lambda: SequenceTagger(**DROPPED, cell="gru", weight_dropout=0.3, locked_dropout=True),
        lambda _: SelectiveCopy(num_train=40, num_val=10, num_test=4, num_tokens=2, num_steps=6, batch_size=8),
        _exponential,
        {"accumulate_grad_batches": 3},
    ),
    "language model": (
        lambda: LanguageModel(**DROPPED, cell="mingru"),
        lambda folder: NextWord(str(folder / "text"), num_steps=6, batch_size=10),
        _plateau,
        {"max_epochs": 2, "val_check_interval": 3},
    ),
    "language model in streams": (
        lambda: LanguageModel(**DROPPED, **NORMALISED, scheduled_sampling=0.5),
        lambda folder: NextWord(str(folder / "text"), num_steps=6, batch_size=8, streams=True),
        _one_cycle,
        {"max_epochs": 2},
    ),
    "early stopping": (_classifier, lambda _: _features(), _still, {"max_epochs": 9}),
    "workers": (
        lambda: LanguageModel(**DROPPED),
        lambda folder: NextWord(str(folder / "text"), num_steps=6, batch_size=10, num_workers=2),
        _one_cycle,
        {"max_epochs": 2},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_goes_on_with_all_that_it_draws(text: Path, kind: str) -> None:
    model, data, optimizers, options = KINDS[kind]
    training = Training(model, lambda: data(text), optimizers, options)
    keeper = Keeper(text / "kept")
    whole = training.run(text / "whole", more=keeper)
    for folder in random.Random(kind).sample(keeper.kept, 2):
        assert_same(training.run(folder, folder / "here.ckpt"), whole)


class _Losses(Callback):
    """The loss of each batch, and of how many sequences, epoch by epoch."""

    def __init__(self) -> None:
        self.seen: dict[int, list[tuple[float, int]]] = {}

    def on_train_batch_end(self, trainer: Any, model: Any, outputs: Any, batch: Any, *_: Any) -> None:
        epoch = self.seen.setdefault(trainer.current_epoch, [])
        epoch.append((float(outputs["loss"]), len(batch.lengths)))


def test_train_loss_is_that_of_its_epoch_alone(tmp_path: Path) -> None:
    losses = _Losses()
    folder = Training(_classifier, _features, _plateau, {}).run(tmp_path / "whole", more=losses)
    logged = [epoch["train_loss"] for epoch in epochs(folder)]
    wanted = [sum(loss * size for loss, size in epoch) / 38 for epoch in losses.seen.values()]
    assert logged == pytest.approx(wanted, rel=1e-6)
    assert len(set(logged)) == 3


def test_it_goes_on_twice_and_from_any_epoch(tmp_path: Path) -> None:
    training = Training(_classifier, _features, _plateau, {})
    keeper, again = Keeper(tmp_path / "kept"), Keeper(tmp_path / "again")
    whole = training.run(tmp_path / "whole", more=keeper)
    early, after_an_epoch = keeper.kept[3], keeper.kept[7]
    assert_same(training.run(early, early / "here.ckpt", more=again), whole)
    for folder in (again.kept[0], again.kept[-1]):
        assert_same(training.run(folder, folder / "here.ckpt"), whole)
    last = after_an_epoch / "checkpoints" / "last.ckpt"
    # The next epoch has begun; as if the training had ended before this one was logged.
    rows = (after_an_epoch / "metrics.csv").read_text().splitlines(keepends=True)
    (after_an_epoch / "metrics.csv").write_text("".join(rows[:-1]))
    assert_same(training.run(after_an_epoch, last), whole)


def test_a_new_training_may_begin_with_a_checkpoint_of_another_one(tmp_path: Path) -> None:
    training = Training(_classifier, _features, _plateau, {"val_check_interval": 2})
    whole = training.run(tmp_path / "whole", more=(keeper := Keeper(tmp_path / "kept")))
    for number, start in enumerate((keeper.kept[8] / "checkpoints" / "best.ckpt", keeper.kept[9] / "here.ckpt")):
        folder = training.run(tmp_path / f"new{number}", start, goes_on=False)
        content = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (folder, whole)]
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
            assert not differences(content[0][part], content[1][part])


def _masks(seed: int, place: tuple[int, ...]) -> Any:
    seed_batch(torch.device("cpu"), seed, *place)
    return torch.rand(2000).numpy()


def test_a_batch_draws_what_its_place_says_and_no_two_places_draw_alike() -> None:
    places = [(seed, *place) for seed in (0, 1) for place in np.ndindex(3, 4, 2)]
    drawn = np.stack([_masks(seed, place) for seed, *place in places])
    assert np.array_equal(drawn[5], _masks(places[5][0], places[5][1:]))
    alike = np.corrcoef(drawn)[np.triu_indices(len(places), 1)]
    assert np.abs(alike).max() < 0.12  # five deviations of chance


@pytest.mark.parametrize(("seed", "same"), [(7, True), (8, False)])
def test_a_seed_decides_a_training(tmp_path: Path, seed: int, same: bool) -> None:
    training = Training(_classifier, _features, _plateau, {"max_epochs": 1})
    one, other = training.run(tmp_path / "one"), training._replace(seed=seed).run(tmp_path / "other")
    assert (not differences(outcome(one), outcome(other))) == same


def test_a_training_leaves_the_random_numbers_of_the_process_alone(tmp_path: Path) -> None:
    training = Training(_classifier, _features, _plateau, {"max_epochs": 1})
    training.run(tmp_path / "one")
    after = torch.initial_seed(), torch.rand(3)
    training.run(tmp_path / "two")
    assert after[0] == torch.initial_seed() == 7
    assert torch.equal(after[1], torch.rand(3))
    assert not torch.equal(after[1], torch.rand(3))
