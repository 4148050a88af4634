"""What a language model says comes next, and how it goes on writing."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch

from rnn_lightning import Facts, LanguageModel, TextEncoder
from rnn_lightning.batch import UNKNOWN
from tests.tasks.helpers import LETTERS, language_model
from tests.tasks.test_language_model import SHAPED


def _probabilities(model: LanguageModel, ids: list[int], temperature: float = 1.0) -> torch.Tensor:
    """Of each word (V - 2,), from a pass through the whole text."""
    with torch.no_grad():
        logits = model(torch.tensor([ids]))[0][0, -1, UNKNOWN:].double()
    return torch.softmax(logits / temperature, 0)


def _most_probable(model: LanguageModel, ids: list[int]) -> int:
    return int(_probabilities(model, ids).argmax()) + UNKNOWN + 1


@SHAPED
@pytest.mark.parametrize("prompt", ["a", "b c d", "zzz", "a zzz"])
def test_at_temperature_0_the_most_probable_token_follows(options: dict[str, Any], prompt: str) -> None:
    model = language_model(**options)
    (ids,) = LETTERS.encode([prompt])
    words = []
    for _ in range(12):
        ids = [*ids, _most_probable(model, ids)]
        words.append(LETTERS.words[ids[-1] - 2])
    assert "".join(model.generate(prompt, 12, temperature=0)) == "".join(f" {word}" for word in words)


def test_a_seed_makes_a_text_repeatable() -> None:
    model = language_model()
    texts = ["".join(model.generate("a", 40, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert "".join(model.generate("a", 40)) != "".join(model.generate("a", 40))


def test_the_seed_of_the_process_stays_untouched() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    model = language_model()
    torch.manual_seed(3)
    list(model.generate("a", 5, seed=1))
    assert torch.equal(torch.rand(1), wanted)


@pytest.mark.parametrize("length", [0, 1, 17])
def test_it_writes_as_many_tokens_as_it_is_told(length: int) -> None:
    assert len(list(language_model().generate("a", length, seed=0))) == length


def test_it_writes_neither_unknown_nor_padding() -> None:
    model = language_model()
    model.head[-1].bias.data[UNKNOWN - 1] = 1e4  # type: ignore[index, union-attr]  # the linear map's
    pieces = list(model.generate("zzz", 500, temperature=3.0, seed=0))
    assert {piece.strip() for piece in pieces} == set(LETTERS.words)
    assert {piece.strip() for piece in model.generate("zzz", 20, temperature=0)} <= set(LETTERS.words)
    assert not {"<unk>", "<pad>"} & {token for row in model.predict_text(["", "zzz", "a"]) for token in row.tokens}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_probable(temperature: float) -> None:
    model = language_model()
    draws = 1500
    # Each draw is the first after the prompt: the chain's second would have another distribution.
    drawn = Counter(next(model.generate("a b", 1, temperature, seed)).strip() for seed in range(draws))
    for word, p in zip(LETTERS.words, _probabilities(model, [2, 3], temperature).tolist(), strict=True):
        assert abs(drawn[word] - draws * p) <= 4 * math.sqrt(draws * p * (1 - p)) + 1


@pytest.mark.parametrize("temperature", [1e-3, 1e-44, 1e-300])
def test_near_temperature_0_it_is_as_at_0(temperature: float) -> None:
    model = language_model()
    assert list(model.generate("a", 20, temperature, seed=1)) == list(model.generate("a", 20, 0))


def test_a_very_high_temperature_makes_all_words_alike() -> None:
    drawn = Counter(language_model().generate("a", 800, 1e30, seed=1))
    assert len(drawn) == 8
    assert min(drawn.values()) > 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": -1}, r"^length is -1; it must be at least 0$"),
        ({"temperature": -0.5}, r"^temperature is -0.5; it must be at least 0, and finite$"),
        ({"temperature": math.nan}, r"^temperature is nan; it must be at least 0, and finite$"),
        ({"temperature": math.inf}, r"^temperature is inf; it must be at least 0, and finite$"),
        ({"seed": -1}, r"^seed is -1; it must be at least 0"),
        ({"seed": 2**63}, r"^seed is \d+; it must be at least 0"),
        ({"prompt": ""}, r"^the prompt is empty: there is nothing to go on from$"),
        ({"prompt": " \n"}, r"^the prompt is empty: there is nothing to go on from$"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_before_anything_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        language_model().generate(**{"prompt": "a", **options})


def test_dropout_has_no_part_in_writing_and_training_goes_on_after_it() -> None:
    model = language_model(dropout=0.5, embedding_dropout=0.5, word_dropout=0.5)
    wanted = list(model.generate("a", 20, temperature=0))
    foretold = model.predict_text(["a b"])
    model.train()
    assert list(model.generate("a", 20, temperature=0)) == wanted
    assert model.predict_text(["a b"]) == foretold
    assert model.training


def test_characters_are_written_without_spaces() -> None:
    facts = Facts(None, (), TextEncoder(["a", " ", "\n"], unit="character"), per_step=True)
    text = "".join(language_model(facts).generate("a", 200, seed=0))
    assert len(text) == 200
    assert set(text) == {"a", " ", "\n"}


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_predictions_come_in_the_order_of_the_texts(batch_size: int) -> None:
    model = language_model()
    texts = ["a b c d e", "", "b", "zzz zzz", "c d"]
    found = model.predict_text(texts, batch_size)
    for text, (tokens, probabilities) in zip(texts, found, strict=True):
        (alone,) = model.predict_text([text])
        assert alone.tokens == tokens
        assert alone.probabilities == pytest.approx(probabilities, rel=1e-4)


def test_a_prediction_names_the_five_most_probable_words() -> None:
    model = language_model()
    ((tokens, probabilities),) = model.predict_text(["a b"])
    wanted = _probabilities(model, [2, 3]).sort(descending=True)
    assert tokens == [LETTERS.words[i] for i in wanted.indices[:5].tolist()]
    assert probabilities == pytest.approx(wanted.values[:5].tolist(), rel=1e-5)
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_small_vocabulary_is_named_whole() -> None:
    facts = Facts(None, (), TextEncoder(["a", "b"]), per_step=True)
    ((tokens, probabilities),) = language_model(facts).predict_text(["a"])
    assert sorted(tokens) == ["a", "b"]
    assert sum(probabilities) == pytest.approx(1.0)


def test_no_texts_have_no_predictions() -> None:
    assert language_model().predict_text([]) == []


def test_a_single_string_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not a single one: write predict_text\(\[text\]\)"):
        language_model().predict_text("a b")
