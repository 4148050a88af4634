"""Intervals around scores: held to their equations, to scipy and scikit-learn, and to what they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from rnn_lightning.intervals import Array, Interval, binomial, of_auroc, of_macro_f1, of_mean

few = settings(max_examples=25, deadline=None)
"""For properties that resample a thousand times an example."""
ALMOST = 1e-9
"""What the values in an interval may lie beside it by rounding."""


def _drawn(size: int) -> Iterator[Array]:
    """The rows of each resample: the draws that the intervals promise to be made of."""
    random = np.random.default_rng(0)
    for _ in range(1000):
        yield random.integers(size, size=size)


def _percentiles(values: list[float]) -> Array:
    return np.quantile(values, (0.025, 0.975))


def _holds(interval: Interval, value: float) -> bool:
    return interval[0] - ALMOST <= value <= interval[1] + ALMOST


@pytest.mark.parametrize(("right", "count"), [(1, 1), (0, 7), (3, 7), (43, 50), (999, 1000), (22_150, 25_000)])
def test_the_ends_of_a_share_are_the_roots_of_the_score_equation(right: int, count: int) -> None:
    """Those true shares p from which the observed one is 1.96 standard deviations away: n (s - p)² = z² p (1 - p)."""
    z, share = stats.norm.ppf(0.975), right / count
    ends = sorted(np.roots([count + z**2, -(2 * count * share + z**2), count * share**2]))
    assert binomial(right, count) == pytest.approx(ends, abs=1e-6)


@pytest.mark.parametrize(("share", "count"), [(0.5, 90), (0.86, 200), (0.97, 500), (0.886, 25_000)])
def test_a_share_lies_in_95_of_100_intervals(share: float, count: int) -> None:
    """Exactly counted: each number of right answers has a known probability."""
    rights = np.arange(count + 1)
    inside = [low <= share <= high for low, high in (binomial(int(right), count) for right in rights)]
    assert stats.binom.pmf(rights, count, share) @ inside == pytest.approx(0.95, abs=0.015)


@settings(deadline=None)
@given(st.integers(1, 100_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_lies_in_its_own_interval_and_that_between_0_and_1(case: tuple[int, int]) -> None:
    right, count = case
    low, high = binomial(right, count)
    assert 0.0 <= low <= right / count <= high <= 1.0
    assert low < high


def test_a_share_of_none_or_all_has_a_width() -> None:
    assert binomial(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert binomial(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert binomial(10, 10)[1] == 1.0


def test_the_interval_of_a_mean_is_the_normal_one_where_there_are_many() -> None:
    values = np.random.default_rng(3).exponential(2.0, 20_000)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    low, high = of_mean(values)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize("size", [12, 300])
def test_the_interval_of_a_mean_is_that_of_scipy(size: int) -> None:
    values = np.random.default_rng(4).lognormal(size=size)
    wanted = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=5).confidence_interval
    width = wanted.high - wanted.low
    assert of_mean(values) == pytest.approx(tuple(wanted), abs=0.1 * width)


@pytest.mark.parametrize("transform", [np.asarray, np.exp])
def test_a_mean_over_tokens_resamples_whole_texts(transform: Callable[[Array], Array]) -> None:
    random = np.random.default_rng(6)
    counts = np.sort(random.integers(1, 60, 80))
    nats = counts * random.normal(3.0, 0.5, 80) ** 2
    order = np.lexsort((nats, counts))
    nats, counts = nats[order], counts[order]
    means = [sum(nats[row] for row in rows) / sum(counts[row] for row in rows) for rows in _drawn(80)]
    assert of_mean(nats, counts, transform) == pytest.approx(_percentiles(list(transform(np.array(means)))), rel=1e-9)


def test_texts_of_one_length_are_as_sequences_that_count_once() -> None:
    nats = np.random.default_rng(7).exponential(size=50)
    assert of_mean(64 * nats, np.full(50, 64)) == pytest.approx(of_mean(nats))


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_macro_f1_is_that_of_scikit_learn_on_the_same_resamples(classes: int) -> None:
    random = np.random.default_rng(8)
    targets = np.sort(random.integers(classes, size=40))
    chosen = np.where(random.random(40) < 0.6, targets, random.integers(classes, size=40))
    order = np.lexsort((chosen, targets))
    chosen, targets = chosen[order], targets[order]
    scores = [f1_score(targets[rows], chosen[rows], average="macro") for rows in _drawn(40)]
    # Resampling lowers the score where classes are small; the interval is about the score itself.
    lost = f1_score(targets, chosen, average="macro") - np.mean(scores)
    wanted = (_percentiles(scores) + lost).clip(0, 1)
    assert of_macro_f1(chosen, targets) == pytest.approx(wanted, abs=1e-9)


def test_many_small_classes_do_not_push_the_score_out_of_its_interval() -> None:
    random = np.random.default_rng(9)
    targets = np.repeat(np.arange(200), 2)
    chosen = np.where(random.random(400) < 0.6, targets, random.integers(200, size=400))
    score = f1_score(targets, chosen, average="macro")
    low, high = of_macro_f1(chosen, targets)
    assert low + 0.02 < score < high - 0.02


@pytest.mark.parametrize("decimals", [1, 8], ids=["many ties", "no ties"])
def test_auroc_is_that_of_scikit_learn_on_the_same_resamples(decimals: int) -> None:
    random = np.random.default_rng(10)
    positive = np.repeat([False, True], [25, 15])
    scores = np.round(random.normal(positive * 0.8), decimals)
    scores = scores[np.lexsort((scores, positive))]
    areas = [roc_auc_score(positive[rows], scores[rows]) for rows in _drawn(40)]
    assert of_auroc(scores, positive) == pytest.approx(_percentiles(areas), abs=1e-12)


def test_resamples_of_a_single_class_have_no_auroc() -> None:
    """With one positive sequence of three, 8 of 27 resamples have none."""
    assert of_auroc(np.array([0.1, 0.2, 0.3]), np.array([False, False, True])) == (1.0, 1.0)
    assert of_auroc(np.array([0.3, 0.1, 0.2]), np.array([False, True, False])) == (0.0, 0.0)


@few
@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=30))
def test_a_mean_lies_in_its_interval(values: list[float]) -> None:
    low, high = of_mean(np.array(values))
    slack = 1e-9 * max(1.0, np.abs(values).max())
    assert low - slack <= np.mean(values) <= high + slack


@few
@given(st.lists(st.tuples(st.floats(0, 100, allow_subnormal=False), st.integers(1, 64)), min_size=1, max_size=30))
def test_a_perplexity_lies_in_its_interval(texts: list[tuple[float, int]]) -> None:
    nats, counts = (np.array(column, float) for column in zip(*texts, strict=True))
    assert _holds(of_mean(nats, counts), nats.sum() / counts.sum())
    assert np.log(of_mean(nats, counts, np.exp)) == pytest.approx(of_mean(nats, counts), abs=0.02)


@few
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_macro_f1_lies_in_its_interval_and_that_between_0_and_1(pairs: list[tuple[int, int]]) -> None:
    targets, chosen = (np.array(column) for column in zip(*pairs, strict=True))
    low, high = of_macro_f1(chosen, targets)
    assert _holds((low, high), f1_score(targets, chosen, average="macro"))
    assert 0.0 <= low <= high <= 1.0


@few
@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_auroc_lies_in_its_interval(below: list[int], above: list[int]) -> None:
    scores, positive = np.array([*below, *above]), np.repeat([False, True], [len(below), len(above)])
    assert _holds(of_auroc(scores, positive), float(roc_auc_score(positive, scores)))


@few
@given(st.integers(0, 1000), st.integers(1, 40))
def test_the_order_of_the_sequences_makes_no_difference(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    sums, counts = random.exponential(size=size).round(1), random.integers(1, 5, size)
    chosen, targets, scores = random.integers(3, size=size), random.integers(3, size=size), random.random(size).round(1)
    rows = random.permutation(size)
    assert of_mean(sums) == of_mean(sums[rows])
    assert of_mean(sums, counts, np.exp) == of_mean(sums[rows], counts[rows], np.exp)
    assert of_macro_f1(chosen, targets) == of_macro_f1(chosen[rows], targets[rows])
    if 0 < (targets == 1).sum() < size:
        assert of_auroc(scores, targets == 1) == of_auroc(scores[rows], targets[rows] == 1)


def test_what_came_out_alike_everywhere_has_an_interval_without_width() -> None:
    same = np.full(7, 0.25)
    assert of_mean(same) == (0.25, 0.25)
    assert of_mean(np.array([2.5])) == (2.5, 2.5)
    assert of_mean(np.array([6.0]), np.array([4]), np.exp) == (np.exp(1.5), np.exp(1.5))
    right = np.array([0, 1, 2, 2])
    assert of_macro_f1(right, right) == (1.0, 1.0)
    assert of_macro_f1((right + 1) % 3, right) == (0.0, 0.0)
    assert of_macro_f1(np.array([1]), np.array([1])) == (1.0, 1.0)
    assert of_auroc(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == (1.0, 1.0)


def test_one_class_alone_has_its_own_f1() -> None:
    """Truth is one class throughout; some answers are another class, which is never right."""
    chosen, targets = np.array([1] * 30 + [0] * 10), np.ones(40, int)
    low, high = of_macro_f1(chosen, targets)
    assert low < f1_score(targets, chosen, average="macro") < high


def test_the_same_sequences_have_the_same_interval_each_time() -> None:
    values = np.random.default_rng(11).random(100)
    np.random.seed(1)
    first = of_mean(values)
    np.random.seed(2)
    assert of_mean(values) == first
