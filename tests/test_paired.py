"""Paired tests: against scipy, against all exchanges written out, and what they promise of chance."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnn_lightning.paired import holm, mcnemar, sign_flips

few = settings(max_examples=40, deadline=None)


def _answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Which sequences two models are right on, from how many it is."""
    sizes = (both, first, second, neither)
    return np.repeat([True, True, False, False], sizes), np.repeat([True, False, True, False], sizes)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 9), (9, 3), (40, 61), (0, 12), (700, 600)])
def test_mcnemar_is_the_binomial_test_with_half_the_weight_of_what_was_seen(first: int, second: int) -> None:
    exact = stats.binomtest(first, first + second).pvalue
    wanted = exact - stats.binom.pmf(min(first, second), first + second, 0.5)
    assert mcnemar(*_answers(50, first, second, 20)) == pytest.approx(wanted, rel=1e-9)


def test_models_that_are_right_equally_often_do_not_differ() -> None:
    assert mcnemar(*_answers(5, 0, 0, 5)) == 1.0
    assert mcnemar(*_answers(0, 4, 4, 0)) == 1.0


@pytest.mark.parametrize("count", [5, 12, 50, 200])
def test_mcnemar_keeps_to_its_level(count: int) -> None:
    """Exactly counted: each split of the sequences on which two equally good models differ has a known probability.

    The mid-p form goes a little beyond 0.05 here and there, where the exact one stays far below it.
    """
    splits = np.arange(count + 1)
    ps = np.array([mcnemar(*_answers(1, int(first), count - int(first), 1)) for first in splits])
    assert stats.binom.pmf(splits, count, 0.5) @ (ps < 0.05) < 0.065


@few
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9))
def test_few_differences_are_exchanged_in_all_ways(values: list[int]) -> None:
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) for signs in _signs(len(values))]
    wanted = np.mean([total >= abs(sum(values)) for total in sums])
    assert sign_flips(np.array(values) / 10) == pytest.approx(wanted)


def _signs(size: int) -> product:
    return product((1, -1), repeat=size)


@pytest.mark.parametrize("size", [10, 14])
def test_exchanging_is_the_permutation_test_of_scipy(size: int) -> None:
    values = np.random.default_rng(size).normal(0.4, 1, size)
    wanted = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flips(values) == pytest.approx(wanted.pvalue)


@pytest.mark.parametrize("shift", [0.0, 0.04, 0.1])
def test_of_many_differences_exchanges_are_drawn(shift: float) -> None:
    """Their sums are then as good as normal."""
    values = np.random.default_rng(5).normal(shift, 1, 2_000)
    wanted = 2 * stats.norm.sf(abs(values.sum()) / np.sqrt((values**2).sum()))
    assert sign_flips(values) == pytest.approx(wanted, abs=0.015)
    assert sign_flips(values) == sign_flips(-values) == sign_flips(np.concatenate((values, np.zeros(99))))


def test_drawn_exchanges_agree_with_all_of_them() -> None:
    """Fifteen differences are drawn of, and 32,768 ways are still few enough to go through."""
    values = np.random.default_rng(6).normal(0.3, 1, 15)
    sums = np.abs(np.array(list(_signs(15))) @ values)
    assert sign_flips(values) == pytest.approx((sums >= abs(values.sum()) - 1e-9).mean(), abs=0.015)


def test_runs_that_came_out_alike_do_not_differ() -> None:
    assert sign_flips(np.zeros(30)) == 1.0
    assert sign_flips(np.array([])) == 1.0


def test_a_difference_that_is_always_the_same_is_as_clear_as_can_be() -> None:
    """Sums of equal numbers in another order are off by rounding, and equal all the same."""
    assert sign_flips(np.full(10, 0.1)) == 2 / 2**10
    assert sign_flips(np.full(40, 0.1)) == 1 / 10_000


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@few
@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=8))
def test_holm_rejects_what_its_rule_of_steps_rejects(ps: list[float]) -> None:
    adjusted = holm(ps)
    rejected = set()
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        if ps[index] * (len(ps) - rank) >= 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(adjusted) if p < 0.05} == rejected
    assert all(low <= high <= 1 for low, high in zip(ps, adjusted, strict=True))
    assert not any(math.isnan(p) for p in adjusted)
