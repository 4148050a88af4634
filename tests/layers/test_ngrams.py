"""The sum over the n-grams of a text, beside one that looks them up in a dictionary."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_lightning.batch import UNKNOWN
from rnn_lightning.layers import NgramSum

WORDS = 7
"""Token ids: padding, unknown, and five words."""
Weights = dict[tuple[int, ...], list[float]]


def _key(gram: tuple[int, ...], base: int = WORDS) -> int:
    return sum(token * base**place for place, token in enumerate(reversed(gram)))


def _made(weights: Weights, longest: int) -> NgramSum:
    grams = sorted(weights, key=_key)
    found = NgramSum(WORDS, longest, len(grams), 2)
    found.keys.copy_(torch.tensor([_key(gram) for gram in grams]))
    found.weight.data.copy_(torch.tensor([weights[gram] for gram in grams]))
    found.offset.data.copy_(torch.tensor([0.5, -0.25]))
    return found


def _by_hand(weights: Weights, text: list[int], longest: int) -> list[float]:
    grams = {tuple(text[i : i + n]) for n in range(1, longest + 1) for i in range(len(text) - n + 1)}
    return [start + sum(weights[gram][c] for gram in grams if gram in weights) for c, start in enumerate((0.5, -0.25))]


def _some(longest: int, share: float = 0.3) -> Weights:
    """Weights for some of all n-grams of words."""
    random = torch.Generator().manual_seed(longest)
    grams = [g for n in range(1, longest + 1) for g in itertools.product(range(2, WORDS), repeat=n)]
    chosen = [gram for gram in grams if torch.rand((), generator=random) < share] or grams[:1]
    return {gram: torch.randn(2, generator=random).tolist() for gram in chosen}


def _padded(texts: list[list[int]], with_what: int, to: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    size = max(to, 1, *map(len, texts))
    rows = [[*text, *[with_what] * (size - len(text))] for text in texts]
    return torch.tensor(rows), torch.tensor([len(text) for text in texts])


TEXTS = st.lists(st.lists(st.integers(1, WORDS - 1), max_size=9), min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS, longest=st.integers(1, 3), padding=st.integers(0, WORDS - 1), more=st.integers(0, 3))
def test_each_known_n_gram_counts_once_whatever_stands_in_the_padding(
    texts: list[list[int]], longest: int, padding: int, more: int
) -> None:
    weights = _some(longest)
    ids, lengths = _padded(texts, padding, max(map(len, texts)) + more)
    found = _made(weights, longest)(ids, lengths)
    torch.testing.assert_close(found, torch.tensor([_by_hand(weights, text, longest) for text in texts]))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_number_of_n_grams_can_be_searched(count: int) -> None:
    weights: Weights = {(2 + index,): [1.0 + index, 0.0] for index in range(count)}
    sums = _made(weights, 1)
    for token in range(WORDS):
        wanted = 0.5 + (token - 1.0 if 2 <= token < 2 + count else 0.0)
        assert sums(torch.tensor([[token]]))[0, 0] == wanted


def test_no_lengths_say_that_all_tokens_are_of_the_text() -> None:
    weights = _some(2)
    text = [2, 3, 2, 3, 1, 6]
    torch.testing.assert_close(_made(weights, 2)(torch.tensor([text])), torch.tensor([_by_hand(weights, text, 2)]))


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_in_another_vocabulary_the_same_words_say_the_same(longest: int) -> None:
    """Word 4 is unknown there; the others have other numbers, among more words."""
    weights = _some(longest)
    new_ids = torch.tensor([0, UNKNOWN, 9, 5, UNKNOWN, 12, 3])
    sums = _made(weights, longest)
    other = sums.in_vocabulary(new_ids, 13)
    assert (other.keys.diff() > 0).all()
    assert len(other.keys) == sum(4 not in gram for gram in weights)
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(1, WORDS, (20, 8), generator=random)
    known = ids.masked_fill(ids == 4, UNKNOWN)
    torch.testing.assert_close(other(new_ids[known]), sums(known))


def test_another_vocabulary_without_any_of_the_n_grams_is_refused() -> None:
    with pytest.raises(ValueError, match="none of them is of known tokens alone"):
        _made({(2, 3): [1.0, 1.0]}, 2).in_vocabulary(torch.tensor([0, 1, 1, 2, 3, 4, 5]), 6)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((9, 0, 1, 1), "n-grams have 1 to 3 tokens, not 0"),
        ((9, 4, 1, 1), "n-grams have 1 to 3 tokens, not 4"),
        ((9, 2, 0, 1), "0 n-grams of 2 out of 9 tokens cannot be numbered"),
        ((3_000_000, 3, 1, 1), "1 n-grams of 3 out of 3000000 tokens cannot be numbered"),
    ],
)
def test_sizes_out_of_range_are_refused(sizes: tuple[int, int, int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NgramSum(*sizes)


def test_a_training_leaves_it_as_it_is() -> None:
    sums = _made(_some(2), 2)
    assert not any(parameter.requires_grad for parameter in sums.parameters())


def test_the_largest_keys_are_told_apart() -> None:
    """Three tokens of two million words: numbers near the end of 64 bits."""
    base = 2_000_000
    grams = [(base - 1, base - 1, base - 1), (base - 1, base - 1, base - 2), (base - 1, 2, 3)]
    sums = NgramSum(base, 3, 3, 1)
    sums.keys.copy_(torch.tensor(sorted(_key(gram, base) for gram in grams)))
    sums.weight.data.copy_(torch.tensor([[1.0], [10.0], [100.0]]))
    assert sums(torch.tensor([[*grams[0], 5], [*grams[1], 5], [5, *grams[2]]])).flatten().tolist() == [100, 10, 1]
