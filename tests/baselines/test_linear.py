"""Linear models: their features counted by hand, and what they can and cannot learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rnn_lightning.baselines.linear import Linear, all_steps, means
from tests.baselines.helpers import features


def test_a_linear_regression_is_the_least_squares_solution_on_the_means() -> None:
    random = np.random.default_rng(5)
    sequences = [random.normal(size=(length, 3)) for length in random.integers(1, 9, 40)]
    each = np.array([sequence.mean(0) for sequence in sequences])
    targets = each @ [1.0, -2.0, 0.5] + 3.0 + random.normal(size=40)
    train = features(*sequences, targets=targets.tolist(), size=3)
    wanted, *_ = np.linalg.lstsq(np.column_stack((each, np.ones(40))), targets, rcond=None)
    others = [random.normal(size=(4, 3)) for _ in range(5)]
    asked = features(*others, targets=[0.0] * 5, size=3)
    by_hand = np.column_stack(([sequence.mean(0) for sequence in others], np.ones(5))) @ wanted
    np.testing.assert_allclose(Linear(train, True, means).predict(asked), by_hand, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_logistic_regression_separates_what_is_separable(classes: int) -> None:
    """The classes are far apart in the mean, whatever the scale of the features and the lengths of the sequences."""
    random = np.random.default_rng(6)
    targets = random.integers(classes, size=200).tolist()
    centres = 10 * np.eye(classes)[targets]
    sequences = [
        (centre + random.normal(size=(length, classes))) * 1e3 ** np.arange(classes)
        for centre, length in zip(centres, random.integers(1, 6, 200), strict=True)
    ]
    train = features(*sequences[:150], targets=targets[:150], size=classes)
    test = features(*sequences[150:], targets=targets[150:], size=classes)
    assert Linear(train, False, means).predict(test).tolist() == targets[150:]


def test_a_linear_regression_on_all_steps_is_the_least_squares_solution_on_them() -> None:
    random = np.random.default_rng(7)
    sequences = random.normal(size=(60, 4, 2))
    flat = np.column_stack((sequences.reshape(60, 8), np.ones(60)))
    targets = random.normal(size=60)
    wanted, *_ = np.linalg.lstsq(flat, targets, rcond=None)
    train = features(*sequences, targets=targets.tolist(), size=2)
    np.testing.assert_allclose(Linear(train, True, all_steps).predict(train), flat @ wanted, rtol=1e-4)


def test_the_mean_of_a_sequence_without_steps_is_zero() -> None:
    """Also where it is the first or the last, and for all that come after it."""
    train = features([], [[2.0], [4.0]], [], [], [[-1.0]], [], targets=[0.0, 3.0, 0.0, 0.0, -1.0, 0.0])
    model = Linear(train, True, means)
    np.testing.assert_allclose(model.predict(train), train.targets, atol=1e-6)
    nothing = features([], [], targets=[0.0, 0.0])
    np.testing.assert_allclose(model.predict(nothing), [0.0, 0.0], atol=1e-6)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = features(*([[x, 7.0]] for x in range(6)), targets=[2.0 * x for x in range(6)], size=2)
        assert Linear(train, True, means).predict(train).tolist() == pytest.approx([0, 2, 4, 6, 8, 10])
