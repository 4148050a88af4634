"""Scaled features and targets: the numbers stay with the model, and everything that is said is in the user's unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning import Batch, Facts, Scaling, SequenceClassifier, SequenceTask, load
from tests.tasks.helpers import Batches, feature_model, silent_trainer, still, tagger, text_model

SCALING = Scaling(("x", "y"), (100.0, -3.0), (10.0, 0.5))
PRICES = Scaling(("price",), (100_000.0,), (57.0,))
RAW = [np.array([[90.0, -3.0], [120.0, -2.0]]), np.array([[100.0, -3.5]]), np.zeros((0, 2)), np.full((5, 2), 1.0)]


def _facts(labels: tuple[str, ...] = ()) -> Facts:
    return Facts(2, labels, scaling=SCALING, target_scaling=None if labels else PRICES)


def _model(labels: tuple[str, ...] = ()) -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(hidden_size=4)
    model.adopt(_facts(labels))
    model.is_trained = True
    return model.eval()


def _batch(targets: list[float]) -> Batch:
    x = torch.zeros(len(RAW), 5, 2)
    for row, sequence in enumerate(RAW):
        x[row, : len(sequence)] = torch.from_numpy(SCALING.apply(sequence))
    return Batch(x, torch.tensor([len(sequence) for sequence in RAW]), torch.tensor(targets))


def _saved(model: SequenceTask, path: Path, batch: Batch, labels: tuple[str, ...] = ()) -> Path:
    trainer = silent_trainer(max_epochs=1, enable_checkpointing=False)
    trainer.fit(still(model), datamodule=Batches(_facts(labels), [batch]))
    trainer.save_checkpoint(path)
    return path


@pytest.mark.parametrize("labels", [(), ("down", "up")])
def test_a_checkpoint_alone_predicts_raw_series(labels: tuple[str, ...], tmp_path: Path) -> None:
    model = _model(labels)
    batch = _batch([0, 1, 1, 0] if labels else [99_950.0, 1e5, 1e5, 100_100.0])
    loaded = load(_saved(model, tmp_path / "a.ckpt", batch, labels))
    assert (loaded.scaling, loaded.target_scaling) == (SCALING, None if labels else PRICES)
    with torch.no_grad():
        wanted = model.eval().predict_step(batch, 0)
    found = loaded.predict_series(RAW, batch_size=2)
    assert [prediction._fields for prediction in found] == [prediction._fields for prediction in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one == (*other[:-1], pytest.approx(other[-1], rel=1e-6))


def test_what_is_measured_of_numbers_is_in_their_unit() -> None:
    model, targets = _model(), np.array([99_950.0, 1e5, 1e5, 100_100.0])
    (measured,) = silent_trainer().test(model, datamodule=Batches(_facts(), [_batch(targets.tolist())]), verbose=False)
    predicted = np.array([estimate.value for estimate in model.predict_series(RAW)])
    assert abs(predicted - 1e5).max() < 200
    errors = predicted - targets
    assert measured["test_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert measured["test_mse"] == pytest.approx((errors**2).mean(), rel=1e-4)
    assert measured["test_loss"] == pytest.approx((errors**2).mean() / 57.0**2, rel=1e-4)
    for name in ("test_loss", "test_mse", "test_mae"):
        low, high = model.intervals[name]
        assert low <= measured[name] * (1 + 1e-6)
        assert high >= measured[name] * (1 - 1e-6)


def test_large_numbers_are_learnt_and_keep_their_digits_in_16_bits() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 3, 2)
    targets = 100_000 + 57 * x[:, :, 0].sum(1)
    model = SequenceClassifier(hidden_size=8)
    data = Batches(_facts(), [Batch(x, torch.full((64,), 3), targets)] * 10)
    silent_trainer(max_epochs=12, precision="bf16-mixed").fit(model, datamodule=data)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = model.eval()(x, torch.full((64,), 3))
    assert outputs.dtype == torch.float32
    assert (outputs - targets).abs().mean() < 0.6 * 57  # 16 bits alone would be off by up to 256


def test_a_checkpoint_of_an_earlier_version_has_no_scaling() -> None:
    model = feature_model()
    content = json.loads(bytes(model.get_extra_state().numpy()).decode())
    old = {"labels": content["labels"], "encoder": content["encoder"]}
    model.set_extra_state(torch.frombuffer(bytearray(json.dumps(old), "utf-8"), dtype=torch.uint8))
    assert (model.scaling, model.target_scaling) == (None, None)
    assert model.labels == ("no", "yes")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scaling": Scaling(("x", "y"), (0.0, 0.0), (1.0, 1.0))}, "the checkpoint's scaling is not the one of"),
        ({"target_scaling": None}, "the checkpoint's scaling of the targets is not the one of"),
    ],
)
def test_a_training_does_not_go_on_with_another_scaling(change: dict[str, Any], said: str) -> None:
    other = SequenceClassifier(hidden_size=4)
    other.adopt(Facts(**{**vars(_facts()), **change}))
    with pytest.raises(ValueError, match=said):
        other.load_state_dict(_model().state_dict())


def test_a_training_does_not_go_on_with_other_labels() -> None:
    other = SequenceClassifier(hidden_size=4)
    other.adopt(_facts(("up", "down")))
    with pytest.raises(ValueError, match="the checkpoint's labels are not the one"):
        other.load_state_dict(_model(("down", "up")).state_dict())


def test_data_of_another_scaling_is_refused() -> None:
    facts = Facts(2, ("down", "up"))
    with pytest.raises(ValueError, match="scaled otherwise"):
        silent_trainer().test(_model(("down", "up")), datamodule=Batches(facts, [_batch([0, 1, 1, 0])]), verbose=False)


def test_a_model_without_scaling_and_a_tagger_predict_series_too() -> None:
    model = feature_model(input_size=2)
    with torch.no_grad():
        (wanted,) = model.predict_step(Batch(torch.tensor(RAW[0])[None].float(), torch.tensor([2])), 0)
    assert model.predict_series(RAW[:1]) == [wanted]
    steps = tagger(Facts(2, ("a", "b"), per_step=True, scaling=SCALING)).predict_series(RAW)
    assert [len(prediction.labels) for prediction in steps] == [2, 1, 0, 5]
    assert model.predict_series([]) == []


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ([np.zeros((3, 3))], r"sequence 0 has the shape \(3, 3\), not \(steps, 2\): x, y"),
        ([RAW[0], np.zeros(2)], r"sequence 1 has the shape \(2,\), not \(steps, 2\): x, y"),
        ([[[1.0, np.nan]]], "sequence 0 has something in it that is not a finite number"),
    ],
)
def test_series_that_do_not_fit_are_refused(series: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _model().predict_series(series)


def test_a_model_of_texts_predicts_no_series() -> None:
    with pytest.raises(ValueError, match="trained on text"):
        text_model().predict_series(RAW)
