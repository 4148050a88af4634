"""Measurements over a whole split, held to numpy and to counting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, SequenceClassifier
from rnn_lightning.batch import Batch
from tests.tasks.helpers import FIVE, TWO, Batches, feature_model, features, silent_trainer, still

SIZES = (4, 4, 3)
"""Sequences in each batch: the last one is smaller."""


def _batches(targets: list[int] | list[float], model: SequenceClassifier) -> tuple[list[Batch], np.ndarray]:
    """Batches of random sequences with these targets, and the model's logits for each sequence alone."""
    count = sum(SIZES)
    lengths = [1 + (3 * index) % 6 for index in range(count)]
    x, _ = features(*lengths)
    x[5], lengths[5] = x[2], lengths[2]  # two equal sequences: a tie in the probabilities
    batches, start = [], 0
    for size in SIZES:
        rows = slice(start, start + size)
        batches.append(Batch(x[rows], torch.tensor(lengths[rows]), torch.tensor(targets[rows])))
        start += size
    with torch.no_grad():
        alone = [model(x[i : i + 1, : lengths[i]], torch.tensor(lengths[i : i + 1])) for i in range(count)]
    return batches, torch.cat(alone).double().numpy()


def _probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.ndim == 1:
        logits = np.stack((np.zeros_like(logits), logits), 1)
    e = np.exp(logits)
    return e / e.sum(1, keepdims=True)


def _macro_f1(predicted: np.ndarray, targets: np.ndarray) -> float:
    scores = []
    for label in set(predicted) | set(targets):
        hits = np.sum((predicted == label) & (targets == label))
        scores.append(2 * hits / (np.sum(predicted == label) + np.sum(targets == label)))
    return float(np.mean(scores))


def _auroc(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The share of pairs, one sequence of a class and one of another, that are in the right order; a tie is half."""
    areas = []
    for label in range(probabilities.shape[1]):
        score = probabilities[:, label].astype(np.float32)
        pairs = [(a > b) + (a == b) / 2 for a in score[targets == label] for b in score[targets != label]]
        areas.append(np.mean(pairs))
    return float(np.mean(areas))


def _counted(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    p = _probabilities(logits)
    loss = -np.log(p[np.arange(len(p)), targets]).mean()
    predicted = p.argmax(1)
    accuracy = np.mean(predicted == targets)
    return {"loss": loss, "accuracy": accuracy, "f1": _macro_f1(predicted, targets), "auroc": _auroc(p, targets)}


def _errors(numbers: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    mse = np.mean((numbers - targets) ** 2)
    return {"loss": mse, "mse": mse, "mae": np.mean(np.abs(numbers - targets))}


@pytest.mark.parametrize(
    ("labels", "targets", "formula"),
    [
        (TWO, [1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1], _counted),
        (FIVE, [4, 0, 1, 2, 3, 1, 1, 0, 2, 4, 4], _counted),
        ((), [0.5, -1.0, 2.0, 0.1, 0.0, 3.0, -0.2, 0.7, 1.1, -2.0, 0.3], _errors),
    ],
    ids=["two classes", "five classes", "regression"],
)
@pytest.mark.parametrize("part", ["val", "test"])
def test_measurements_of_uneven_batches_equal_those_of_all_sequences_at_once(
    part: str, labels: tuple[str, ...], targets: list, formula: Callable[[np.ndarray, np.ndarray], dict[str, float]]
) -> None:
    model = feature_model(labels)
    batches, logits = _batches(targets, model)
    trainer = silent_trainer()
    verb = trainer.validate if part == "val" else trainer.test
    (measured,) = verb(model, datamodule=Batches(Facts(3, labels), batches), verbose=False)
    wanted = {f"{part}_{name}": value for name, value in formula(logits, np.array(targets)).items()}
    assert set(measured) == set(wanted)
    for name, value in wanted.items():
        assert measured[name] == pytest.approx(value, rel=1e-5), name


def test_the_loss_is_a_mean_over_sequences_not_over_batches() -> None:
    model = feature_model(())
    targets = [0.0] * 8 + [10.0] * 3  # the last, smaller batch has by far the largest loss
    batches, numbers = _batches(targets, model)
    (measured,) = silent_trainer().validate(model, datamodule=Batches(Facts(3, ()), batches), verbose=False)
    each = (numbers - np.array(targets)) ** 2
    over_batches = np.mean([part.mean() for part in np.split(each, np.cumsum(SIZES)[:-1])])
    assert measured["val_loss"] == pytest.approx(each.mean(), rel=1e-5)
    assert abs(over_batches - each.mean()) > 1


def test_the_training_loss_is_a_mean_over_sequences_too() -> None:
    model = feature_model(())
    targets = [0.0] * 8 + [10.0] * 3
    batches, numbers = _batches(targets, model)
    trainer = silent_trainer(max_epochs=1, limit_val_batches=0)
    trainer.fit(still(model), datamodule=Batches(Facts(3, ()), batches))
    assert trainer.callback_metrics["train_loss"].item() == pytest.approx(
        np.mean((numbers - np.array(targets)) ** 2), rel=1e-5
    )


@pytest.mark.parametrize(
    ("labels", "targets"),
    [(TWO, [1] * 11), (FIVE, [4, 0, 1, 2, 2, 1, 1, 0, 2, 4, 4])],
    ids=["one of two", "four of five"],
)
def test_the_area_under_the_curve_is_left_out_where_a_class_does_not_occur(
    labels: tuple[str, ...], targets: list[int]
) -> None:
    model = feature_model(labels)
    batches, logits = _batches(targets, model)
    (measured,) = silent_trainer().test(model, datamodule=Batches(Facts(3, labels), batches), verbose=False)
    assert set(measured) == {"test_loss", "test_accuracy", "test_f1"}
    predicted = _probabilities(logits).argmax(1)
    assert measured["test_f1"] == pytest.approx(_macro_f1(predicted, np.array(targets)), rel=1e-5)


def test_each_pass_starts_counting_anew() -> None:
    model = feature_model(TWO)
    first, _ = _batches([1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1], model)
    other, _ = _batches([0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0], model)
    trainer = silent_trainer()
    facts = Facts(3, TWO)
    before = trainer.validate(model, datamodule=Batches(facts, first), verbose=False)
    turned = trainer.validate(model, datamodule=Batches(facts, other), verbose=False)
    assert turned[0]["val_accuracy"] == pytest.approx(1 - before[0]["val_accuracy"])
    assert trainer.validate(model, datamodule=Batches(facts, first), verbose=False) == before
