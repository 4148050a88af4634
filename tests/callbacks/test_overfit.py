"""OverfitOneBatch: the same batch each time, nothing in the way of learning it by heart, and a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from rnn_lightning import LanguageModel, NextWord, OverfitOneBatch, SequenceClassifier, SyntheticSequences
from rnn_lightning.callbacks.overfit import CannotLearnError
from tests.tasks.helpers import silent_trainer


class Seen(pl.Callback):
    """The batches of a training, and the model as it was trained."""

    def __init__(self) -> None:
        self.batches: list[Any] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch)


def _data(**options: Any) -> SyntheticSequences:
    return SyntheticSequences(num_train=80, num_val=16, num_test=16, batch_size=8, **options)


def _trained(folder: Path, model: Any, data: Any, *callbacks: Any, **options: Any) -> Any:
    torch.manual_seed(1)
    settings = {"max_epochs": 300, "limit_val_batches": 0, "log_every_n_steps": 1, **options}
    trainer = silent_trainer(default_root_dir=str(folder), callbacks=[OverfitOneBatch(), *callbacks], **settings)
    trainer.fit(model, datamodule=data)
    return trainer


def _with_rate(model: Any, rate: float, decay: float = 0.0) -> Any:
    model.configure_optimizers = lambda: torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    return model


def test_one_batch_is_taken_again_and_again_until_it_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Seen()
    data = _data(min_steps=2, num_steps=5)
    trainer = _trained(tmp_path, _with_rate(SequenceClassifier(hidden_size=16), 0.02), data, seen)
    assert 10 < trainer.global_step < 300
    assert len(seen.batches) == trainer.global_step
    for batch in seen.batches:
        for part, first in zip(batch, seen.batches[0], strict=True):
            assert torch.equal(part, first)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("One batch of 8 sequences: train_loss 0.")
    assert last.endswith(f" in {trainer.global_step} steps: the model can learn")
    assert float(trainer.callback_metrics["train_loss"]) < 0.01


def test_it_is_a_batch_of_the_training_part_as_a_training_would_take_it(tmp_path: Path) -> None:
    seen, plain = Seen(), Seen()
    _trained(tmp_path, _with_rate(SequenceClassifier(hidden_size=16), 0.02), _data(), seen)
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[plain], max_steps=1)
    trainer.fit(SequenceClassifier(hidden_size=4), datamodule=_data())
    assert torch.equal(seen.batches[0].inputs, plain.batches[0].inputs)
    assert 0 < seen.batches[0].targets.float().mean() < 1  # both classes


@pytest.mark.parametrize("rate", [0.0, 1e-5])
def test_a_model_that_cannot_learn_is_told(tmp_path: Path, rate: float) -> None:
    said = r"one batch of 8 sequences: train_loss 0\.\d+ -> 0\.\d+ in 20 steps: the model cannot even learn one batch"
    with pytest.raises(CannotLearnError, match=said):
        _trained(tmp_path, _with_rate(SequenceClassifier(hidden_size=4), rate), _data(), max_epochs=20)


def test_a_model_whose_memory_is_cut_is_told(tmp_path: Path) -> None:
    class Blind(SequenceClassifier):
        def forward(self, inputs: Any, lengths: Any = None) -> Any:
            return super().forward(torch.zeros_like(inputs), lengths)

    with pytest.raises(CannotLearnError, match="in 60 steps: the model cannot even learn one batch by heart"):
        _trained(tmp_path, _with_rate(Blind(hidden_size=8), 0.02), _data(), max_epochs=60)


def test_what_is_random_and_the_decay_of_weights_are_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {
        **{"cell": "lstm_ln", "hidden_size": 16, "num_layers": 2, "embedding_size": 8},
        **{"dropout": 0.5, "layer_dropout": 0.4, "embedding_dropout": 0.3, "word_dropout": 0.2, "weight_dropout": 0.1},
        **{"cell_options": {"recurrent_dropout": 0.25, "zoneout": 0.15}, "scheduled_sampling": 0.9},
    }
    model = _with_rate(LanguageModel(**options), 0.02, decay=0.5)
    trainer = _trained(tmp_path, model, NextWord())
    said = capsys.readouterr().out
    for name, value in {**options, **options["cell_options"]}.items():
        if name.endswith("dropout") and name not in ("layer_dropout", "embedding_dropout"):
            assert f"{name} {value:g}" in said, name
    assert "zoneout 0.15" in said
    assert "scheduled_sampling 0.9, weight_decay 0.5" in said
    assert trainer.optimizers[0].param_groups[0]["weight_decay"] == 0.0
    model.train()
    inputs = torch.tensor([[2, 3, 4]])
    assert torch.equal(model(inputs)[0], model(inputs)[0])
    assert "the model can learn" in said


def test_it_wants_a_data_module(tmp_path: Path) -> None:
    data = _data()
    data.setup("fit")
    trainer = silent_trainer(default_root_dir=str(tmp_path), callbacks=[OverfitOneBatch()])
    model = SequenceClassifier(hidden_size=4, input_size=3, num_classes=2)
    with pytest.raises(ValueError, match="OverfitOneBatch wants a LightningDataModule"):
        trainer.fit(model, data.train_dataloader())
