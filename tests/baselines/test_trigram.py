"""The trigram model against the equations, written down once more with dictionaries and loops."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_lightning.baselines.trigram import Trigram, unigram_nats
from rnn_lightning.batch import PAD, UNKNOWN
from tests.baselines.helpers import texts

Gram = tuple[int, ...]


class Reference:
    """Chen and Goodman (1999), section 3: interpolated modified Kneser-Ney, one dictionary for each length."""

    def __init__(self, sequences: list[list[int]], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        trigrams: Counter[Gram] = Counter()
        for sequence in sequences:
            padded = [PAD, *sequence]
            trigrams.update(tuple(padded[i : i + 3]) for i in range(len(sequence) - 1))
        # In how many different surroundings an n-gram occurs: that is, behind how many different tokens.
        bigrams = Counter(gram[1:] for gram in trigrams)
        unigrams = Counter(gram[1:] for gram in bigrams)
        self.counts = {1: unigrams, 2: bigrams, 3: trigrams}
        self.discounts = {length: _discounts(counts) for length, counts in self.counts.items()}
        self.followers: dict[Gram, list[int]] = defaultdict(list)
        for counts in self.counts.values():
            for gram, count in counts.items():
                self.followers[gram[:-1]].append(count)

    def probability(self, context: Gram, token: int) -> float:
        """p(token | context), from the longest context that has been seen."""
        shorter = self.probability(context[1:], token) if context else 1 / (self.vocab_size - 1)
        if not self.followers[context]:
            return shorter
        discounts = self.discounts[len(context) + 1]
        total = sum(self.followers[context])
        count = self.counts[len(context) + 1][(*context, token)]
        given_away = sum(discounts[min(count, 3)] for count in self.followers[context])
        return max(count - discounts[min(count, 3)], 0) / total + given_away / total * shorter


def _discounts(counts: Counter[Gram]) -> dict[int, float]:
    n = {k: sum(count == k for count in counts.values()) for k in (1, 2, 3, 4)}
    found = {0: 0.0, 1: 0.5, 2: 0.5, 3: 0.5}
    if all(n.values()):
        y = n[1] / (n[1] + 2 * n[2])
        estimates = {k: k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)}
        found.update({k: estimate for k, estimate in estimates.items() if estimate > 0})
    return found


def _random_text(seed: int, length: int, vocab_size: int) -> list[int]:
    """Frequent tokens and rare ones, as in a real text."""
    random = np.random.default_rng(seed)
    return [int(token) for token in np.minimum(random.zipf(1.5, length), vocab_size - 1)]


def _probabilities(model: Trigram, context: Gram) -> np.ndarray:
    """Of all tokens but padding, after a context: one token is the first step of a sequence."""
    tokens = range(1, model.vocab_size)
    return np.exp(-model.nats(texts(*([*context, token] for token in tokens)))[len(context) - 1 :: len(context)])


@pytest.mark.parametrize(
    ("lengths", "vocab_size"),
    [((3000,), 60), ((200, 1, 2, 90, 400), 12), ((6,), 5), ((2,), 3), ((500,), 3)],
    ids=["enough for all discounts", "sequences", "too few for them", "a single pair", "two tokens"],
)
def test_probabilities_are_those_of_the_equations(lengths: tuple[int, ...], vocab_size: int) -> None:
    train = [_random_text(seed, length, vocab_size) for seed, length in enumerate(lengths)]
    test = [_random_text(seed, length, vocab_size) for seed, length in ((10, 300), (11, 2), (12, 50))]
    reference = Reference(train, vocab_size)
    wanted = [
        -math.log(reference.probability((([PAD, *sequence])[i], sequence[i]), sequence[i + 1]))
        for sequence in test
        for i in range(len(sequence) - 1)
    ]
    np.testing.assert_allclose(Trigram(texts(*train), vocab_size).nats(texts(*test)), wanted, rtol=1e-10)


def test_the_discounts_of_a_longer_text_are_estimated() -> None:
    reference = Reference([_random_text(0, 3000, 60)], 60)
    model = Trigram(texts(_random_text(0, 3000, 60)), 60)
    for length, order in zip((1, 2, 3), model.orders, strict=True):
        assert list(order.discounts) == pytest.approx(list(reference.discounts[length].values()))
    assert 0 < reference.discounts[3][1] < reference.discounts[3][2] < reference.discounts[3][3]


small_texts = st.integers(3, 7).flatmap(
    lambda vocab_size: st.tuples(
        st.just(vocab_size),
        st.lists(st.lists(st.integers(1, vocab_size - 1), min_size=2, max_size=80), min_size=1, max_size=5),
    )
)


@settings(deadline=None, max_examples=60)
@given(small_texts)
def test_the_probabilities_of_all_tokens_sum_to_one_after_any_context(case: tuple[int, list[list[int]]]) -> None:
    vocab_size, sequences = case
    model = Trigram(texts(*sequences), vocab_size)
    everything = range(1, vocab_size)
    for context in [(v,) for v in everything] + [(u, v) for u in everything for v in everything]:
        probabilities = _probabilities(model, context)
        assert (probabilities > 0).all()
        assert probabilities.sum() == pytest.approx(1)


def test_nothing_is_impossible_where_an_estimated_discount_would_take_nothing_off() -> None:
    """So many pairs occur four times, and so few thrice, that the estimate for three and more is below 0."""
    often = [[1, 2]] * 4 + [[3, 4]] * 4 + [[4, 5]] * 4 + [[5, 6]] * 4
    model = Trigram(texts(*often, *[[2, 1]] * 3, *[[6, 1]] * 2, [1, 3]), 8)
    n1, n2, n3, n4 = 1, 1, 1, 4
    assert 3 - 4 * (n1 / (n1 + 2 * n2)) * n4 / n3 < 0
    assert np.isfinite(model.nats(texts([3, 7], [6, 7]))).all()
    assert _probabilities(model, (3,)).sum() == pytest.approx(1)


def test_a_sequence_begins_without_a_past() -> None:
    """1 2 | 3 4 is two texts: nobody has seen 3 after 2, nor 4 after 2 3."""
    apart, together = Trigram(texts([1, 2], [3, 4]), 6), Trigram(texts([1, 2, 3, 4]), 6)
    across = texts([2, 3])
    assert apart.nats(across)[0] > together.nats(across)[0]
    # And what is asked for is cut at its borders too.
    joined, cut = apart.nats(texts([1, 2, 3, 4]))[2], apart.nats(texts([1, 2], [3, 4]))[1]
    assert cut < joined
    assert apart.nats(texts([3, 4]))[0] == cut


def test_a_text_is_as_surprising_among_others_as_alone() -> None:
    model = Trigram(texts(_random_text(0, 500, 20)), 20)
    parts = [_random_text(seed, size, 20) for seed, size in ((1, 30), (2, 2), (3, 7))]
    np.testing.assert_allclose(model.nats(texts(*parts)), np.concatenate([model.nats(texts(part)) for part in parts]))


def test_sequences_without_a_step_change_nothing() -> None:
    parts = ([1, 2, 3, 2], [2, 3, 1])
    empty = ([1], parts[0], [2], [3], parts[1], [1])
    model, other = Trigram(texts(*parts), 5), Trigram(texts(*empty), 5)
    np.testing.assert_array_equal(model.nats(texts(*parts)), other.nats(texts(*empty)))
    assert model.nats(texts([1])).shape == (0,)


def test_a_token_that_training_has_never_seen_has_what_is_left_over() -> None:
    model = Trigram(texts([1, 2, 3, 1, 2]), 6)
    never_seen = model.nats(texts([1, 2, 4], [1, 2, 5], [4, 5, 4]))
    assert np.isfinite(never_seen).all()
    assert never_seen[1] == never_seen[3]
    assert model.nats(texts([1, 2, 3]))[1] < never_seen[1]


def test_after_an_unseen_pair_the_last_token_alone_decides() -> None:
    """3 5 never occurs, 5 does: after it comes 1 where any other token would be a surprise."""
    train = texts([4, 5, 1, 4, 5, 1, 2])
    reference = Reference([[4, 5, 1, 4, 5, 1, 2]], 7)
    probabilities = _probabilities(Trigram(train, 7), (3, 5))
    assert probabilities.argmax() + 1 == 1
    assert list(probabilities) == pytest.approx([reference.probability((5,), token) for token in range(1, 7)])


def test_after_an_unseen_token_the_variety_of_surroundings_decides() -> None:
    """2 is more frequent than 1, but stands behind a single token only."""
    train = [3, 2, 3, 2, 3, 2, 3, 2, 3, 1, 4, 1, 5, 1]
    probabilities = _probabilities(Trigram(texts(train), 8), (7, 6))
    assert train.count(2) > train.count(1)
    assert probabilities[0] > probabilities[1] > probabilities[6]


def test_the_unknown_token_is_one_like_the_others() -> None:
    model = Trigram(texts([2, UNKNOWN, 2, UNKNOWN, 2, UNKNOWN]), 4)
    assert _probabilities(model, (2,)).argmax() + 1 == UNKNOWN


def test_the_unigram_counts_each_token_once_more() -> None:
    train, test = texts([3, 1, 1, 2, 1]), texts([1, 2, 3], [1, 4])
    surprises = unigram_nats(train, test, 5)
    assert list(np.exp(-surprises)) == pytest.approx([2 / 8, 1 / 8, 1 / 8])
    everything = unigram_nats(train, texts(*([1, token] for token in range(1, 5))), 5)
    assert np.exp(-everything).sum() == pytest.approx(1)
