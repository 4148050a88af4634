"""Which runs are compared with which, what is said of them, and that it is what the numbers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from rnn_lightning.cli.pairs import compared, p_in_words
from rnn_lightning.cli.predictions import Arrays
from rnn_lightning.paired import mcnemar, sign_flips

SIZE = 300
TARGETS = np.random.default_rng(0).choice(["no", "yes"], SIZE)


def _classifier(right: float, seed: int, targets: np.ndarray = TARGETS) -> Arrays:
    """What a classifier kept that is right on this share of the sequences."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1, SIZE)
    is_right = random.random(SIZE) < right
    label = np.where(is_right, targets, np.where(targets == "no", "yes", "no"))
    loss = -np.log(np.where(is_right, sure, 1 - sure))
    return {"loss": loss, "target": targets, "label": label, "text": np.full(SIZE, None, object)}


def _of_steps(loss: float, seed: int, **columns: Any) -> Arrays:
    random = np.random.default_rng(seed)
    return {"loss": random.exponential(loss, SIZE), **columns, "text": np.full(SIZE, None, object)}


def test_two_classifiers_are_compared_by_accuracy_and_by_loss() -> None:
    a, b = _classifier(0.7, 1), _classifier(0.9, 2)
    pairs, lines = compared({"a": a, "b": b})
    assert lines == []
    assert [(pair.best, pair.other, pair.measure) for pair in pairs] == [
        ("b", "a", "test_accuracy"),
        ("b", "a", "test_loss"),
    ]
    accuracy, loss = pairs
    rights = [arrays["label"] == TARGETS for arrays in (b, a)]
    assert accuracy.values == pytest.approx([right.mean() for right in rights])
    assert accuracy.p == mcnemar(*rights)
    assert loss.p == sign_flips(b["loss"] - a["loss"])
    wanted = stats.bootstrap((b["loss"] - a["loss"],), np.mean, method="percentile", rng=1).confidence_interval
    assert loss.interval == pytest.approx(tuple(wanted), abs=0.1 * (wanted.high - wanted.low))
    low, high = accuracy.interval
    assert low < accuracy.values[0] - accuracy.values[1] < high
    assert str(accuracy) == (
        f"b and a: test_accuracy {rights[0].mean():.4f} against {rights[1].mean():.4f}, difference "
        f"{rights[0].mean() - rights[1].mean():.4f} [{low:.4f}, {high:.4f}], p < 0.001: "
        "these two runs differ beyond chance"
    )


def test_a_run_beside_itself_does_not_differ() -> None:
    pairs, _ = compared({"a": _classifier(0.8, 1), "again": _classifier(0.8, 1)})
    assert [(pair.p, pair.interval) for pair in pairs] == [(1.0, (0.0, 0.0))] * 2
    for pair in pairs:
        assert "difference 0.0000 [0.0000, 0.0000], p = 1.00: these two runs do not differ beyond chance" in str(pair)


def test_of_several_runs_each_is_compared_with_the_best_and_p_is_corrected() -> None:
    runs = {"a": _classifier(0.75, 1), "b": _classifier(0.85, 2), "c": _classifier(0.8, 3)}
    pairs, _ = compared(runs)
    assert [(pair.best, pair.other) for pair in pairs] == [("b", "a"), ("b", "a"), ("b", "c"), ("b", "c")]
    rights = {label: arrays["label"] == TARGETS for label, arrays in runs.items()}
    low, high = sorted(mcnemar(rights["b"], rights[other]) for other in "ac")
    assert sorted(pair.p for pair in pairs if pair.measure == "test_accuracy") == [2 * low, max(2 * low, high)]
    assert all("(corrected for 2 comparisons): these two runs " in str(pair) for pair in pairs)


def test_runs_of_other_test_sequences_are_not_compared() -> None:
    turned = TARGETS[::-1]
    assert (turned != TARGETS).any()
    runs = {
        "a": _classifier(0.8, 1),
        "turned": _classifier(0.8, 1, turned),
        "b": _classifier(0.7, 2),
        "numbers": _of_steps(1.0, 1, target=np.zeros(SIZE), value=np.zeros(SIZE)),
        "words": _of_steps(1.0, 1, tokens=np.full(SIZE, 5), checksum=np.arange(SIZE)),
        "other words": _of_steps(1.0, 1, tokens=np.full(SIZE, 5), checksum=np.arange(SIZE) + 1),
    }
    pairs, lines = compared(runs)
    assert {(pair.best, pair.other) for pair in pairs} == {("a", "b")}
    assert lines == [
        f"{label} and a were tested on other sequences: they cannot be compared one by one"
        for label in ("turned", "numbers", "words", "other words")
    ]


def test_regressions_are_compared_by_their_squared_errors() -> None:
    target = np.random.default_rng(1).normal(size=SIZE)
    runs = {
        name: _of_steps(loss, seed, target=target, value=target)
        for seed, (name, loss) in enumerate((("worse", 2.0), ("better", 0.5)))
    }
    (pair,), _ = compared(runs)
    assert (pair.best, pair.other, pair.measure) == ("better", "worse", "test_mse")
    assert pair.values == pytest.approx([runs["better"]["loss"].mean(), runs["worse"]["loss"].mean()])
    assert pair.differ
    assert pair.interval[1] < 0


def test_what_has_steps_counts_by_them() -> None:
    """Windows of different lengths, and one at the end of a stream that has no token left."""
    tokens = np.append(np.random.default_rng(2).integers(1, 60, SIZE - 1), 0)
    columns = {"tokens": tokens, "checksum": np.arange(SIZE)}
    runs = {"a": _of_steps(2.0, 1, **columns), "b": _of_steps(2.2, 2, **columns)}
    runs["a"]["loss"][-1] = runs["b"]["loss"][-1] = 0.0
    (pair,), _ = compared(runs)
    means = {label: arrays["loss"] @ tokens / tokens.sum() for label, arrays in runs.items()}
    assert pair.measure == "test_loss"
    assert pair.values == pytest.approx(sorted(means.values()))
    assert pair.interval[0] < -abs(means["a"] - means["b"]) < pair.interval[1]
    right = {"steps": tokens, "checksum": np.arange(SIZE)}
    taggers = {
        label: {**_of_steps(1.0, seed, **right), "right": (tokens * share).astype(int)}
        for seed, (label, share) in enumerate((("a", 0.5), ("b", 0.7)))
    }
    pairs, _ = compared(taggers)
    assert [(pair.best, pair.measure) for pair in pairs] == [("b", "test_accuracy"), ("b", "test_loss")]
    assert pairs[0].values[0] == pytest.approx((tokens * 0.7).astype(int).sum() / tokens.sum())


def test_of_losses_that_are_no_numbers_nothing_is_said() -> None:
    broken = _classifier(0.7, 1)
    broken["loss"][3] = np.nan
    pairs, _ = compared({"a": broken, "b": _classifier(0.9, 2), "c": _classifier(0.8, 3)})
    assert [(pair.other, pair.measure) for pair in pairs] == [
        ("a", "test_accuracy"),
        ("c", "test_accuracy"),
        ("c", "test_loss"),
    ]
    assert pairs[2].compared == 1


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0001, "p < 0.001"), (0.001, "p = 0.001"), (0.0494, "p = 0.049"), (0.31, "p = 0.31"), (1, "p = 1.00")],
)
def test_p_has_no_more_digits_than_it_is_worth(p: float, words: str) -> None:
    assert p_in_words(p) == words
