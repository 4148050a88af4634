"""From raw texts to labels."""

from __future__ import annotations

import pytest
import torch

from tests.tasks.helpers import FIVE, feature_model, text_model

TEXTS = [
    *("good film", "", "bad", "schön 電 😀 film good bad, and a good deal more than six words", "<br />", "unknown"),
    *("good " * count for count in range(1, 9)),
]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_predictions_come_in_the_order_of_the_texts(batch_size: int) -> None:
    model = text_model(FIVE, bidirectional=True)
    together = model.predict_text(TEXTS, batch_size)
    assert len(together) == len(TEXTS)
    for text, prediction in zip(TEXTS, together, strict=True):
        (alone,) = model.predict_text([text])
        assert prediction.label == alone.label
        assert prediction.probability == pytest.approx(alone.probability, rel=1e-5)
    assert len({prediction.probability for prediction in together}) > 5


def test_a_prediction_equals_what_the_network_says() -> None:
    model = text_model(FIVE)
    batch = model.encoder.batch(["good film"])
    probabilities = torch.softmax(model(batch.inputs, batch.lengths), 1)[0]
    (prediction,) = model.predict_text(["good film"])
    assert prediction.label == FIVE[int(probabilities.argmax())]
    assert prediction.probability == pytest.approx(probabilities.max().item())


def test_no_texts_have_no_predictions() -> None:
    assert text_model().predict_text([]) == []


@pytest.mark.parametrize("text", ["", " \n", "<br />"])
def test_a_text_without_words_has_a_prediction_too(text: str) -> None:
    model = text_model()
    (prediction,) = model.predict_text([text])
    p = torch.sigmoid(model.head(torch.zeros(1, 4))).item()
    assert prediction.label == ("yes" if p > 0.5 else "no")
    assert prediction.probability == pytest.approx(max(p, 1 - p))


def test_a_regression_of_texts_gives_numbers() -> None:
    model = text_model(())
    batch = model.encoder.batch(["good film"])
    assert model.predict_text(["good film"]) == [(pytest.approx(model(batch.inputs, batch.lengths).item()),)]


def test_a_single_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"takes a list of texts, not a single one: write predict_text\(\[text\]\)"):
        text_model().predict_text("good film")


def test_a_model_of_features_reads_no_text() -> None:
    with pytest.raises(ValueError, match="trained on sequences of numbers: it reads no text"):
        feature_model().predict_text(["good film"])


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_as_before(training: bool) -> None:
    model = text_model(dropout=0.5, batch_norm=True, word_dropout=0.5, embedding_dropout=0.5)
    wanted = model.predict_text(TEXTS)
    model.train(training)
    assert model.predict_text(TEXTS) == wanted  # no dropout at work
    assert all(module.training is training for module in model.modules())
    assert model.head[0].num_batches_tracked.item() == 0
