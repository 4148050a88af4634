"""What a model is told by its data: inputs, outputs, loss, names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, SequenceClassifier
from rnn_lightning.batch import Batch
from tests.tasks.helpers import (
    ENCODER,
    FIVE,
    TWO,
    Batches,
    feature_model,
    features,
    loader,
    silent_trainer,
    still,
    text_model,
)

X, LENGTHS = features(4, 1, 3)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def test_two_classes_have_one_logit_and_its_cross_entropy() -> None:
    model = feature_model(TWO)
    logits = model(X, LENGTHS)
    assert logits.shape == (3,)
    assert model.head[-1].out_features == 1
    targets = np.array([0, 1, 1])
    p = _sigmoid(logits.detach().double().numpy())
    wanted = -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    assert model.losses(logits, torch.tensor(targets)).mean().item() == pytest.approx(wanted, rel=1e-6)


def test_five_classes_have_five_logits_and_their_cross_entropy() -> None:
    model = feature_model(FIVE)
    logits = model(X, LENGTHS)
    assert logits.shape == (3, 5)
    wanted = -_log_softmax(logits.detach().double().numpy())[np.arange(3), [4, 0, 2]].mean()
    assert model.losses(logits, torch.tensor([4, 0, 2])).mean().item() == pytest.approx(wanted, rel=1e-6)


def test_a_regression_has_one_number_and_its_squared_error() -> None:
    model = feature_model(())
    numbers = model(X, LENGTHS)
    assert numbers.shape == (3,)
    wanted = np.mean((numbers.detach().double().numpy() - [0.5, -1.0, 2.0]) ** 2)
    assert model.losses(numbers, torch.tensor([0.5, -1.0, 2.0])).mean().item() == pytest.approx(wanted, rel=1e-6)


def test_the_loss_of_a_confident_mistake_is_finite() -> None:
    model = feature_model(TWO)
    assert model.losses(torch.tensor([200.0]), torch.tensor([0])).mean().item() == pytest.approx(200.0)


def test_probabilities_of_two_classes_follow_the_logit() -> None:
    logits = torch.tensor([-3.0, 0.0, 0.7])
    probabilities = feature_model(TWO).probabilities(logits)
    np.testing.assert_allclose(probabilities[:, 1], _sigmoid(logits.double().numpy()), rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-6)


def test_probabilities_of_five_classes_follow_the_logits() -> None:
    logits = 3 * torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    probabilities = feature_model(FIVE).probabilities(logits)
    np.testing.assert_allclose(probabilities, np.exp(_log_softmax(logits.double().numpy())), rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [(torch.tensor([-1.0, 2.0]), ["no", "yes"]), (torch.eye(5)[[3, 0]], ["d", "a"])],
    ids=["two classes", "five classes"],
)
def test_a_prediction_is_the_name_of_the_most_probable_class(logits: torch.Tensor, labels: list[str]) -> None:
    model = feature_model(TWO if logits.dim() == 1 else FIVE)
    predictions = model.predictions(logits)
    assert [prediction.label for prediction in predictions] == labels
    highest = model.probabilities(logits).max(1).values.tolist()
    assert [prediction.probability for prediction in predictions] == highest


def test_a_prediction_of_a_regression_is_its_number() -> None:
    assert feature_model(()).predictions(torch.tensor([0.5, -2.0])) == [(0.5,), (-2.0,)]


def test_features_go_straight_into_the_recurrent_layers() -> None:
    model = feature_model(TWO, input_size=7)
    assert not hasattr(model, "embedding")
    assert model.recurrent.input_size == 7
    assert (model.hparams["input_size"], model.hparams["vocab_size"]) == (7, None)


def test_tokens_are_embedded() -> None:
    model = text_model(TWO)
    assert model.embedding.vectors.weight.shape == (ENCODER.vocab_size, 5)
    assert model.recurrent.input_size == 5
    assert (model.hparams["input_size"], model.hparams["vocab_size"]) == (None, ENCODER.vocab_size)
    assert model(torch.tensor([[2, 3, 4], [1, 0, 0]]), torch.tensor([3, 1])).shape == (2,)


@pytest.mark.parametrize(
    ("facts", "sizes"),
    [
        (Facts(3, TWO), {"vocab_size": None, "input_size": 3, "num_classes": 2}),
        (Facts(1, FIVE), {"vocab_size": None, "input_size": 1, "num_classes": 5}),
        (Facts(2, ()), {"vocab_size": None, "input_size": 2, "num_classes": 0}),
        (Facts(None, TWO, ENCODER), {"vocab_size": 8, "input_size": None, "num_classes": 2}),
    ],
    ids=["two classes", "five classes", "regression", "text"],
)
def test_training_fills_the_sizes_in_and_writes_them_back(facts: Facts, sizes: dict[str, int | None]) -> None:
    inputs = X[..., : facts.input_size] if facts.encoder is None else torch.ones(3, 4, dtype=torch.long)
    targets = torch.tensor([0, 1, 1]) if facts.labels else torch.tensor([0.1, 0.2, 0.3])
    model = still(SequenceClassifier(hidden_size=4))
    assert not model.is_built
    silent_trainer(fast_dev_run=True).fit(model, datamodule=Batches(facts, [Batch(inputs, LENGTHS, targets)]))
    assert model.is_built
    assert {name: model.hparams[name] for name in sizes} == sizes
    assert model.labels == facts.labels
    assert model.encoder is facts.encoder
    # The written-back values alone make the same network again.
    again = SequenceClassifier(**model.hparams)
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


def test_a_built_model_is_not_built_again() -> None:
    model = feature_model(TWO)
    before = {name: (id(p), p.detach().clone()) for name, p in model.named_parameters()}
    data = Batches(Facts(3, TWO), [Batch(X, LENGTHS, torch.tensor([0, 1, 1]))])
    trainer = silent_trainer(limit_train_batches=0)
    for verb in (trainer.validate, trainer.test, trainer.validate):
        verb(model, datamodule=data, verbose=False)
    for name, p in model.named_parameters():
        assert id(p) == before[name][0]
        assert torch.equal(p, before[name][1])


_FEATURES_AND_TWO = "sequences of 3 features and the classes no, yes"


@pytest.mark.parametrize(
    ("facts", "what_it_has"),
    [
        (Facts(4, TWO), "sequences of 4 features and the classes no, yes"),
        (Facts(3, FIVE), "sequences of 3 features and the classes a, b, c, d, e"),
        (Facts(3, ("yes", "no")), "sequences of 3 features and the classes yes, no"),
        (Facts(3, ()), "sequences of 3 features and numbers as targets"),
        (Facts(None, TWO, ENCODER), "text and the classes no, yes"),
    ],
    ids=["features", "classes", "order of the classes", "regression", "text"],
)
@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_data_of_another_kind_is_refused_with_both_kinds_named(verb: str, facts: Facts, what_it_has: str) -> None:
    model = still(feature_model(TWO))
    with pytest.raises(ValueError, match="the model was trained on") as error:
        getattr(silent_trainer(max_epochs=1), verb)(model, datamodule=Batches(facts, []))
    assert str(error.value) == f"the model was trained on {_FEATURES_AND_TWO}; the data has {what_it_has}"


def test_an_unbuilt_model_wants_data_that_says_its_facts() -> None:
    with pytest.raises(ValueError, match=r"SequenceClassifier needs a data module that says its facts") as error:
        silent_trainer().validate(SequenceClassifier(), dataloaders=loader([]))
    assert "\n" not in str(error.value)


def test_a_built_model_takes_a_plain_loader() -> None:
    batch = Batch(X, LENGTHS, torch.tensor([0, 1, 1]))
    model = feature_model(TWO)
    (measured,) = silent_trainer().test(model, dataloaders=loader([batch]), verbose=False)
    wanted = model.losses(model(X, LENGTHS), batch.targets).mean().item()
    assert measured["test_loss"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({"pooling": "last"}, 4),
        ({"pooling": "mean_max"}, 8),
        ({"pooling": "mean_max_last", "bidirectional": True}, 24),
        ({"pooling": "attention", "num_layers": 2, "residual": True}, 4),
    ],
)
def test_the_head_is_as_wide_as_what_is_pooled(options: dict, width: int) -> None:
    assert feature_model(TWO, **options).head[-1].in_features == width
