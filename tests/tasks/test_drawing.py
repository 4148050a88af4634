"""Which tokens can be drawn, and how probable they are: temperature, then top-k, then top-p, by brute force."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from rnn_lightning import LanguageModel
from rnn_lightning.batch import UNKNOWN
from rnn_lightning.tasks.generation import Drawing, random_numbers
from tests.tasks.helpers import LETTERS, language_model
from tests.tasks.test_language_model import SHAPED

LOGITS = st.lists(st.floats(-8, 8, allow_subnormal=False).map(lambda value: round(value, 1)), min_size=1, max_size=7)


def _softmax(values: list[float]) -> list[float]:
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def _wanted(logits: list[float], temperature: float, top_k: int | None, top_p: float) -> list[float]:
    """Every set of tokens is tried: the one that is wanted has the fewest, and of these the most probable together."""
    probabilities = _softmax([logit / temperature for logit in logits])
    tokens = range(len(logits))
    # Of tokens that are equally probable, those of the lower ids.
    best = max(
        combinations(tokens, min(top_k or len(logits), len(logits))),
        key=lambda chosen: (math.fsum(probabilities[i] for i in chosen), [-i for i in chosen]),
    )
    total = math.fsum(probabilities[i] for i in best)
    left = {i: probabilities[i] / total for i in best}
    for size in range(1, len(left) + 1):
        fewest = max(
            combinations(left, size), key=lambda chosen: (math.fsum(left[i] for i in chosen), [-i for i in chosen])
        )
        total = math.fsum(left[i] for i in fewest)
        if total >= top_p or size == len(left):
            return [left[i] / total if i in fewest else 0.0 for i in tokens]
    raise AssertionError("there is at least one token")


@given(
    LOGITS,
    st.sampled_from([0.3, 1.0, 2.5]),
    st.none() | st.integers(1, 9),
    st.floats(0.01, 1.0, allow_subnormal=False),
)
@example([0.0, 2.0, 1.0, 0.0, 3.0], 2.5, None, 0.875)  # two are equally probable, and one of them is to be drawn
def test_the_tokens_that_can_be_drawn_are_those_of_brute_force(
    logits: list[float], temperature: float, top_k: int | None, top_p: float
) -> None:
    found = Drawing(temperature, top_k, top_p).probabilities(torch.tensor(logits, dtype=torch.float64)).tolist()
    reached = np.cumsum(sorted(_softmax([logit / temperature for logit in logits]), reverse=True)[:top_k])
    if (abs(reached / reached[-1] - top_p) < 1e-9).any():
        return  # whether a sum reaches the probability is then a matter of rounding
    assert found == pytest.approx(_wanted(logits, temperature, top_k, top_p), abs=1e-9)


@given(LOGITS, st.integers(1, 9))
def test_only_as_many_as_top_k_can_be_drawn(logits: list[float], top_k: int) -> None:
    found = Drawing(top_k=top_k).probabilities(torch.tensor(logits))
    assert int((found > 0).sum()) == min(top_k, len(logits))
    assert float(found.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("top_k", "top_p", "wanted"),
    [
        (None, 1.0, [0.5, 0.25, 0.125, 0.125]),
        (None, 0.5, [1, 0, 0, 0]),
        (None, 0.51, [2 / 3, 1 / 3, 0, 0]),
        (None, 0.75, [2 / 3, 1 / 3, 0, 0]),
        (None, 1e-9, [1, 0, 0, 0]),
        (3, 1.0, [4 / 7, 2 / 7, 1 / 7, 0]),
        (1, 1.0, [1, 0, 0, 0]),
        (99, 1.0, [0.5, 0.25, 0.125, 0.125]),
        # Of the two that top-k leaves, the first has 2 / 3: more than 0.6, though 0.5 is less.
        (2, 0.6, [1, 0, 0, 0]),
    ],
    ids=str,
)
def test_it_is_so_in_plain_numbers(top_k: int | None, top_p: float, wanted: list[float]) -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    assert Drawing(1.0, top_k, top_p).probabilities(logits).tolist() == pytest.approx(wanted, abs=1e-7)


def test_the_temperature_comes_first() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    assert Drawing(1.0, top_p=0.5).probabilities(logits).tolist() == pytest.approx([1, 0, 0])
    assert (Drawing(9.0, top_p=0.5).probabilities(logits) > 0).tolist() == [True, True, False]


@pytest.mark.parametrize("options", [{"top_k": 3}, {"top_p": 0.6}, {"top_k": 4, "top_p": 0.5}], ids=str)
def test_a_text_has_only_tokens_that_can_be_drawn(options: dict[str, Any]) -> None:
    model = language_model()
    (ids,) = LETTERS.encode(["a b"])
    for piece in model.generate("a b", 60, seed=1, **options):
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0][0, -1, UNKNOWN:].tolist()
        (token,) = LETTERS.encode([piece])[0]
        assert _wanted(logits, 1.0, options.get("top_k"), options.get("top_p", 1.0))[token - 2] > 0
        ids = [*ids, token]


@SHAPED
def test_with_one_token_to_choose_from_it_is_the_most_probable(options: dict[str, Any]) -> None:
    model = language_model(**options)
    wanted = list(model.generate("a", 20, temperature=0))
    assert list(model.generate("a", 20, temperature=5.0, top_k=1)) == wanted
    assert list(model.generate("a", 20, temperature=0, top_k=4, top_p=0.9)) == wanted


def test_that_all_can_be_drawn_changes_nothing() -> None:
    model = language_model()
    assert list(model.generate("a", 40, seed=4)) == list(model.generate("a", 40, seed=4, top_k=None, top_p=1.0))


def test_neither_unknown_nor_padding_is_ever_drawn() -> None:
    model = language_model()
    model.head[-1].bias.data[UNKNOWN - 1] = 1e4  # type: ignore[index, union-attr]  # the linear map's
    for options in ({"top_k": 1}, {"top_k": 99}, {"top_p": 1e-6}, {"top_k": 8, "top_p": 0.999}):
        assert {piece.strip() for piece in model.generate("zzz", 300, 3.0, 0, **options)} <= set(LETTERS.words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, r"^top_k is 0; it must be at least 1$"),
        ({"top_k": -3}, r"^top_k is -3; it must be at least 1$"),
        ({"top_p": 0.0}, r"^top_p is 0.0; it must be above 0 and at most 1$"),
        ({"top_p": 1.5}, r"^top_p is 1.5; it must be above 0 and at most 1$"),
        ({"top_p": math.nan}, r"^top_p is nan; it must be above 0 and at most 1$"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_before_anything_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        language_model().generate("a", **options)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "lstm_ln", "mingru", "minlstm", "qrnn", "slstm"])
def test_the_state_does_not_grow_with_the_text(cell: str) -> None:
    model: LanguageModel = language_model(cell=cell, num_layers=2)
    numbers = []
    step = model.recurrent.step

    def watched(*inputs: Any) -> Any:
        output, state = step(*inputs)
        numbers.append(sum(tensor.untyped_storage().nbytes() for layer in state for tensor in layer))
        return output, state

    model.recurrent.step = watched  # type: ignore[method-assign]
    list(model.generate("a b c", 50, seed=0, top_k=5))
    assert len(numbers) == 50
    assert len(set(numbers[1:])) == 1


def test_random_numbers_without_a_seed_are_others_each_time() -> None:
    assert random_numbers(None).initial_seed() != random_numbers(None).initial_seed()
    assert random_numbers(7).initial_seed() == random_numbers(7).initial_seed() == 7
