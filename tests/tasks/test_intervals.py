"""The intervals that a test draws around its scores: of the whole split, however it came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from rnn_lightning import Facts, LanguageModel, SequenceClassifier
from rnn_lightning.batch import Batch
from rnn_lightning.intervals import Interval, binomial, of_auroc, of_macro_f1, of_mean
from rnn_lightning.tasks.metrics import Outcomes, classification_intervals, regression_intervals
from tests.tasks.helpers import (
    FIVE,
    LETTER_FACTS,
    TWO,
    Batches,
    feature_model,
    features,
    language_model,
    silent_trainer,
)

COUNT = 23
TARGETS: dict[tuple[str, ...], Any] = {
    TWO: [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1],
    FIVE: [0, 1, 2, 3, 4, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 0, 1, 2, 3, 0, 2, 4],
    (): [i / 7 - 1.5 for i in range(COUNT)],
}
X, LENGTHS = features(*(1 + (3 * i) % 6 for i in range(COUNT)))


def _batches(targets: Any, sizes: list[int], order: np.ndarray) -> list[Batch]:
    """All sequences, in batches of these sizes and in this order."""
    parts = torch.from_numpy(order).split(sizes)
    return [Batch(X[rows], LENGTHS[rows], torch.tensor(targets)[rows]) for rows in parts]


def _tested(
    model: SequenceClassifier | LanguageModel, facts: Facts, batches: list[Batch]
) -> tuple[dict[str, float], dict[str, Interval]]:
    (measured,) = silent_trainer().test(model, datamodule=Batches(facts, batches), verbose=False)
    return dict(measured), dict(model.intervals)


@pytest.mark.parametrize("labels", [TWO, FIVE, ()], ids=["two classes", "five classes", "regression"])
def test_intervals_are_those_of_the_whole_split(labels: tuple[str, ...]) -> None:
    model, targets = feature_model(labels), np.array(TARGETS[labels])
    measured, found = _tested(model, Facts(3, labels), _batches(targets, [8, 8, 7], np.arange(COUNT)))
    with torch.no_grad():
        logits = model(X, LENGTHS)
    losses = model.losses(logits, torch.from_numpy(targets)).double().numpy()
    if labels:
        p = model.probabilities(logits).double().numpy()
        chosen = p.argmax(1)
        wanted = {
            "test_loss": of_mean(losses),
            "test_accuracy": binomial(int((chosen == targets).sum()), COUNT),
            "test_f1": of_macro_f1(chosen, targets),
        }
        if labels == TWO:
            wanted["test_auroc"] = of_auroc(p[:, 1], targets == 1)
    else:
        errors = logits.double().numpy() - targets
        wanted = {"test_loss": of_mean(errors**2), "test_mse": of_mean(errors**2), "test_mae": of_mean(np.abs(errors))}
    assert set(found) == set(wanted)
    for name, interval in wanted.items():
        assert found[name] == pytest.approx(interval, rel=1e-5), name
        assert found[name][0] < measured[name] < found[name][1], name


@pytest.mark.parametrize("labels", [TWO, FIVE, ()], ids=["two classes", "five classes", "regression"])
def test_neither_the_order_nor_the_size_of_the_batches_matters(labels: tuple[str, ...]) -> None:
    model, facts, targets = feature_model(labels), Facts(3, labels), TARGETS[labels]
    _, wanted = _tested(model, facts, _batches(targets, [COUNT], np.arange(COUNT)))
    for seed, sizes in enumerate(([1] * COUNT, [22, 1], [5, 5, 5, 5, 3])):
        order = np.random.default_rng(seed).permutation(COUNT)
        _, found = _tested(model, facts, _batches(targets, sizes, order))
        assert set(found) == set(wanted)
        for name, interval in wanted.items():
            assert found[name] == pytest.approx(interval, rel=1e-5), name


def test_each_test_counts_anew() -> None:
    model, facts = feature_model(TWO), Facts(3, TWO)
    whole = _batches(TARGETS[TWO], [COUNT], np.arange(COUNT))
    first = _tested(model, facts, whole)
    turned = _batches([1 - target for target in TARGETS[TWO]], [COUNT], np.arange(COUNT))
    assert _tested(model, facts, turned)[1]["test_accuracy"] != first[1]["test_accuracy"]
    assert _tested(model, facts, whole) == first


def test_one_sequence_has_an_interval_of_its_accuracy_alone() -> None:
    """The others have no width: there is nothing to resample, and no area under a curve."""
    model = feature_model(TWO)
    batch = Batch(X[:1], LENGTHS[:1], torch.tensor([1]))
    measured, found = _tested(model, Facts(3, TWO), [batch])
    assert set(found) == {"test_loss", "test_accuracy", "test_f1"}
    right = int(measured["test_accuracy"])
    assert found["test_accuracy"] == binomial(right, 1)
    for name in ("test_loss", "test_f1"):
        assert found[name] == pytest.approx((measured[name], measured[name]), rel=1e-6)


def test_a_class_that_does_not_occur_leaves_the_area_out() -> None:
    model = feature_model(TWO)
    measured, found = _tested(model, Facts(3, TWO), _batches([1] * COUNT, [COUNT], np.arange(COUNT)))
    assert set(found) == set(measured) == {"test_loss", "test_accuracy", "test_f1"}


def test_validation_draws_none() -> None:
    model, facts = feature_model(TWO), Facts(3, TWO)
    data = Batches(facts, _batches(TARGETS[TWO], [COUNT], np.arange(COUNT)))
    silent_trainer().validate(model, datamodule=data, verbose=False)
    assert not model.intervals


def test_many_classes_have_their_intervals_without_a_table_of_all_pairs() -> None:
    """A thousand resamples of a thousand classes squared would be gigabytes."""
    random = np.random.default_rng(0)
    targets = random.integers(1000, size=3000)
    outputs = random.random((3000, 1000))
    outputs[np.arange(0, 3000, 2), targets[::2]] = 1.0
    found = classification_intervals(random.random(3000), outputs, targets.astype(float))
    chosen = outputs.argmax(1)
    assert set(found) == {"loss", "accuracy", "f1"}
    assert found["f1"][0] < f1_score(targets, chosen, average="macro") < found["f1"][1]
    assert found["accuracy"] == binomial(int((chosen == targets).sum()), 3000)


def test_classes_and_numbers_come_as_floats() -> None:
    """As `Outcomes` gives everything."""
    targets = np.array([0.0, 1.0, 1.0, 0.0])
    outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.3, 0.7]])
    found = classification_intervals(np.array([0.1, 0.5, 0.9, 1.2]), outputs, targets)
    assert found["accuracy"] == binomial(2, 4)
    low, high = found["auroc"]
    assert low <= roc_auc_score(targets, outputs[:, 1]) <= high
    errors = regression_intervals(np.array([0.25, 4.0]), np.array([1.5, 4.0]), np.array([1.0, 2.0]))
    assert errors["loss"] == errors["mse"] == (0.25, 4.0)
    assert errors["mae"] == (0.5, 2.0)


def test_outcomes_of_several_batches_stand_one_after_the_other() -> None:
    outcomes = Outcomes("losses", "outputs")
    outcomes.update(losses=torch.tensor([1.0, 2.0]), outputs=torch.ones(2, 3))
    outcomes.update(losses=torch.tensor([3.0]), outputs=torch.zeros(1, 3))
    found = outcomes.compute()
    assert list(found) == ["rows", "losses", "outputs"]
    np.testing.assert_array_equal(found["losses"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(found["outputs"], [[1.0] * 3, [1.0] * 3, [0.0] * 3])
    assert all(values.dtype == np.float64 for values in found.values())
    outcomes.reset()
    outcomes.update(losses=torch.tensor([4.0]), outputs=torch.ones(1, 3))
    np.testing.assert_array_equal(outcomes.compute()["losses"], [4.0])


def test_outcomes_stand_in_the_order_of_the_data_where_it_is_known() -> None:
    outcomes = Outcomes("losses")
    outcomes.update(torch.tensor([3, 0]), losses=torch.tensor([0.3, 0.0]))
    outcomes.update(torch.tensor([1, 2]), losses=torch.tensor([0.1, 0.2]))
    assert outcomes.compute()["losses"].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_what_came_out_is_kept_only_where_every_row_came_in_once() -> None:
    model, targets = feature_model(TWO), np.array(TARGETS[TWO])
    batches = _batches(targets, [8, 8, 7], np.random.default_rng(0).permutation(COUNT))
    _tested(model, Facts(3, TWO), batches)
    assert model.outcomes == {}  # nobody said which rows these are
    order = torch.from_numpy(np.random.default_rng(0).permutation(COUNT)).split([8, 8, 7])
    numbered = [batch._replace(rows=rows) for batch, rows in zip(batches, order, strict=True)]
    _tested(model, Facts(3, TWO), numbered)
    assert model.outcomes["target"] == [TWO[target] for target in targets]
    with torch.no_grad():
        p = model.probabilities(model(X, LENGTHS)).numpy()
    np.testing.assert_allclose(model.outcomes["probabilities"], p, rtol=1e-5)
    for wrong in ([*numbered, numbered[0]], numbered[:2]):
        _tested(model, Facts(3, TWO), wrong)
        assert model.outcomes == {}


def test_outcomes_are_no_part_of_a_checkpoint() -> None:
    model = feature_model(TWO)
    before = set(model.state_dict())
    _tested(model, Facts(3, TWO), _batches(TARGETS[TWO], [COUNT], np.arange(COUNT)))
    assert set(model.state_dict()) == before
    assert not any("outcomes" in name for name in before)


def _texts(order: np.ndarray, size: int) -> list[Batch]:
    """Twelve texts of 1 to 8 letters."""
    random = np.random.default_rng(2)
    tokens = torch.from_numpy(random.integers(1, 10, (12, 9)))
    lengths = torch.from_numpy(random.integers(1, 9, 12))
    valid = torch.arange(8) < lengths[:, None]
    inputs, targets = tokens[:, :-1] * valid, tokens[:, 1:] * valid
    return [Batch(inputs[rows], lengths[rows], targets[rows]) for rows in torch.from_numpy(order).split(size)]


def test_the_interval_of_a_perplexity_is_that_of_whole_texts() -> None:
    model = language_model()
    (batch,) = _texts(np.arange(12), 12)
    measured, found = _tested(model, LETTER_FACTS, _texts(np.arange(12), 5))
    with torch.no_grad():
        log_p = torch.log_softmax(model(batch.inputs, batch.lengths)[0].double(), 2).numpy()
    assert batch.targets is not None
    nats = [
        -sum(log_p[row, step, batch.targets[row, step] - 1] for step in range(length))
        for row, length in enumerate(batch.lengths.tolist())
    ]
    counts = batch.lengths.double().numpy()
    assert set(found) == {"test_loss", "test_perplexity"}
    assert found["test_loss"] == pytest.approx(of_mean(np.array(nats), counts), rel=1e-5)
    assert found["test_perplexity"] == pytest.approx(of_mean(np.array(nats), counts, np.exp), rel=1e-5)
    for name, (low, high) in found.items():
        assert low < measured[name] < high


def test_a_perplexity_has_the_same_interval_in_any_batches() -> None:
    model = language_model()
    _, wanted = _tested(model, LETTER_FACTS, _texts(np.arange(12), 12))
    for size in (1, 5):
        _, found = _tested(model, LETTER_FACTS, _texts(np.random.default_rng(size).permutation(12), size))
        for name, interval in wanted.items():
            assert found[name] == pytest.approx(interval, rel=1e-5)
