"""Models that begin with word vectors of others: what they take over, keep, train, and carry away."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, LanguageModel, SequenceClassifier, SequenceTask, TextEncoder, load
from rnn_lightning.batch import PAD, UNKNOWN, Batch
from tests.tasks.helpers import LETTER_FACTS, TWO, Batches, saved, silent_trainer

ENCODER = TextEncoder(("film", "rare", "awful", "schön"))
REVIEWS = Facts(None, TWO, ENCODER)
FILE = "awful -1 -2 -3\nfilm 0.1 0.2 0.3\nunheard 9 9 9\nschön 1 1 1\n"
ROWS = {"film": 2, "rare": 3, "awful": 4, "schön": 5}
LETTERS = "".join(f"{letter} {i} {-1 - i}\n" for i, letter in enumerate("abcdefgh"))


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    """A file of vectors of three numbers, for three of the four words."""
    path = tmp_path / "vectors.txt"
    path.write_text(FILE, "utf-8")
    return str(path)


@pytest.fixture
def letters(tmp_path: Path) -> str:
    """A file of vectors of two numbers, for all letters of a language model."""
    path = tmp_path / "letters.txt"
    path.write_text(LETTERS, "utf-8")
    return str(path)


def _classifier(vectors: str, **options: Any) -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(**{"hidden_size": 4, "vectors": vectors, **options})
    model.adopt(REVIEWS)
    return model


def _language_model(letters: str, **options: Any) -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(**{"hidden_size": 6, "vectors": letters, **options})
    model.adopt(LETTER_FACTS)
    return model


def _weights(model: SequenceClassifier | LanguageModel) -> np.ndarray:
    found: np.ndarray = model.embedding.vectors.weight.detach().clone().numpy()
    return found


def _trained(model: SequenceTask, facts: Facts) -> SequenceTask:
    """After a few steps on every word, and on padding."""
    random = torch.Generator().manual_seed(1)
    assert facts.encoder is not None
    inputs = torch.randint(1, facts.encoder.vocab_size, (8, 6), generator=random)
    lengths = torch.tensor([6, 6, 5, 4, 3, 2, 1, 0])
    inputs[torch.arange(6) >= lengths[:, None]] = PAD
    targets = inputs if facts.per_step else torch.arange(8) % 2
    data = Batches(facts, [Batch(inputs, lengths, targets)])
    silent_trainer(max_epochs=5, limit_val_batches=0).fit(model, datamodule=data)
    return model


def test_known_words_begin_with_the_vectors_of_the_file(vectors: str) -> None:
    weights = _weights(_classifier(vectors))
    assert weights.shape == (6, 3)
    for word, values in (("film", [0.1, 0.2, 0.3]), ("awful", [-1, -2, -3]), ("schön", [1, 1, 1])):
        np.testing.assert_array_equal(weights[ROWS[word]], np.array(values, np.float32))
    assert not (weights == 9).any()
    np.testing.assert_array_equal(weights[PAD], 0)


def test_the_other_words_begin_like_one_another(vectors: str) -> None:
    weights = _weights(_classifier(vectors))
    mean = np.mean([[0.1, 0.2, 0.3], [-1, -2, -3], [1, 1, 1]], axis=0)
    for row in (UNKNOWN, ROWS["rare"]):
        np.testing.assert_allclose(weights[row], mean, rtol=1e-6)


def test_the_width_of_the_file_wins(vectors: str) -> None:
    model = _classifier(vectors, embedding_size=50)
    assert model.hparams["embedding_size"] == 3
    assert model.recurrent.input_size == 3


def test_coverage_is_told(vectors: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        _classifier(vectors)
    (message,) = caplog.messages
    assert message == f"{vectors}: vectors of 3 numbers, known for 3 of the 4 words of the vocabulary (75.0 %)"


@pytest.mark.parametrize("optimizer", ["default", "SGD"])
def test_vectors_are_trained_on(vectors: str, optimizer: str) -> None:
    model = _classifier(vectors)
    if optimizer == "SGD":
        model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=1.0)  # type: ignore[method-assign]
    before = _weights(model)
    _trained(model, REVIEWS)
    moved = (_weights(model) != before).any(1)
    assert moved.tolist() == [False, *[True] * 5]  # all but padding


@pytest.mark.parametrize("task", ["classifier", "language model", "language model with tied head"])
def test_frozen_vectors_stay_as_they_are_and_all_else_is_trained(vectors: str, letters: str, task: str) -> None:
    if task == "classifier":
        model: Any = _classifier(vectors, freeze_vectors=True)
        facts = REVIEWS
    else:
        model = _language_model(letters, freeze_vectors=True, tie_embedding="tied" in task)
        facts = LETTER_FACTS
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    _trained(model, facts)
    still = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == ["embedding.vectors.weight"]
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == still


def test_a_language_model_takes_vectors_too(letters: str) -> None:
    weights = _weights(_language_model(letters))
    np.testing.assert_array_equal(weights[2:], [[i, -1 - i] for i in range(8)])
    np.testing.assert_array_equal(weights[PAD], 0)


def test_a_tied_head_speaks_in_the_vectors_of_the_file(letters: str) -> None:
    """Tokens of the same vector are equally likely: one that the file does not know, and the unknown one."""
    Path(letters).write_text(LETTERS.replace("c ", "z "))
    model = _language_model(letters, tie_embedding=True).eval()
    logits = model(torch.tensor([[2, 3, 4]]))[0][0]
    torch.testing.assert_close(logits[:, UNKNOWN - 1], logits[:, 4 - 1])
    # The vector of b lies on the line from a to d, a third of the way; so do the logits.
    torch.testing.assert_close(logits[:, 3 - 1], (2 * logits[:, 2 - 1] + logits[:, 5 - 1]) / 3)
    before = _weights(model)
    _trained(model, LETTER_FACTS)
    assert (_weights(model)[UNKNOWN:] != before[UNKNOWN:]).any(1).all()
    np.testing.assert_array_equal(_weights(model)[PAD], 0)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_checkpoint_works_without_the_file(vectors: str, tmp_path: Path, frozen: bool) -> None:
    model = _trained(_classifier(vectors, freeze_vectors=frozen, embedding_size=7), REVIEWS)
    assert isinstance(model, SequenceClassifier)
    wanted = model.eval().predict_text(["awful film", "rare", ""])
    path = saved(model, tmp_path / "model.ckpt")
    Path(vectors).unlink()
    again = load(path)
    assert again.predict_text(["awful film", "rare", ""]) == wanted
    assert isinstance(again, SequenceClassifier)
    np.testing.assert_array_equal(_weights(again), _weights(model))
    assert again.embedding.vectors.weight.requires_grad is not frozen


def test_a_model_that_goes_on_training_does_not_begin_again(vectors: str, tmp_path: Path) -> None:
    """A loaded model keeps what it has learnt, whatever the file says by now."""
    path = saved(_trained(_classifier(vectors), REVIEWS), tmp_path / "model.ckpt")
    Path(vectors).write_text("film 7 7 7\n")
    model = load(path)
    assert isinstance(model, SequenceClassifier)
    before = _weights(model)
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=1e-3)  # type: ignore[method-assign]
    _trained(model, REVIEWS)
    np.testing.assert_allclose(_weights(model), before, atol=0.1)


@pytest.mark.parametrize("task", [SequenceClassifier, LanguageModel])
def test_a_mistake_is_found_before_there_is_any_data(task: Any, vectors: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.txt cannot be read: No such file or directory"):
        task(vectors="nowhere.txt")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        task(vectors=str(tmp_path))
    with pytest.raises(ValueError, match="freeze_vectors is true, but no vectors are named"):
        task(freeze_vectors=True)


def test_data_of_numbers_has_no_part_in_vectors(vectors: str) -> None:
    model = SequenceClassifier(vectors=vectors)
    with pytest.raises(ValueError, match=r"this data has features, not words: the vectors of .* have no part in it"):
        model.adopt(Facts(3, TWO))
    with pytest.raises(ValueError, match="this data has features, not words"):
        SequenceClassifier(vectors=vectors, freeze_vectors=True).adopt(Facts(3, TWO))


def test_a_file_that_knows_no_word_is_refused(vectors: str) -> None:
    model = SequenceClassifier(vectors=vectors)
    with pytest.raises(ValueError, match="has a vector for none of the 1 words of the vocabulary"):
        model.adopt(Facts(None, TWO, TextEncoder(("電",))))
