"""Which methods suit which data, and what is measured of them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rnn_lightning import IMDb, NextWord, Parity, SyntheticSequences, TextEncoder
from rnn_lightning.baselines import Baseline, baselines, has_extra
from rnn_lightning.baselines.linear import Linear, means
from rnn_lightning.baselines.nbsvm import NBSVM
from rnn_lightning.baselines.trigram import Trigram
from rnn_lightning.batch import NO_LABEL, Facts, Ragged
from rnn_lightning.data.base import SequenceData
from rnn_lightning.intervals import binomial, of_mean
from tests.baselines.helpers import features, texts

ENCODER = TextEncoder([f"w{i}" for i in range(8)])
TWO = Facts(None, ("negative", "positive"), ENCODER)


def _found(data: SequenceData) -> list[Baseline]:
    data.prepare_data()
    data.setup("fit")
    return list(baselines(data.facts, data.train.whole(), data.val.whole(), data.test.whole()))


@pytest.mark.parametrize(
    ("data", "names", "scores"),
    [
        (
            SyntheticSequences(num_train=300, num_val=60, num_test=50, min_steps=2),
            ["always 0", "logistic regression on mean features"],
            ["accuracy"],
        ),
        (
            SyntheticSequences(num_train=300, num_val=60, num_test=50, num_classes=4),
            ["always 0", "logistic regression on mean features", "logistic regression on all steps"],
            ["accuracy"],
        ),
        (
            SyntheticSequences(num_train=300, num_val=60, num_test=50, num_classes=0),
            ["always the mean", "linear regression on mean features", "linear regression on all steps"],
            ["mse", "mae"],
        ),
        (NextWord(), ["unigram", "interpolated trigram"], ["perplexity"]),
        (Parity(num_train=300, num_val=60, num_test=50), ["always odd"], ["accuracy"]),
    ],
    ids=["two classes", "four classes", "regression", "next word", "a class for each step"],
)
def test_each_kind_of_data_has_its_methods(data: SequenceData, names: list[str], scores: list[str]) -> None:
    found = _found(data)
    assert [method.name for method in found] == names
    for method in found:
        assert list(method.scores) == [f"{part}_{score}" for part in ("val", "test") for score in scores]
        for value, (low, high) in method.scores.values():
            assert low <= value * (1 + 1e-6)
            assert value <= high * (1 + 1e-6)


def test_reviews_have_a_constant_and_words_with_pairs(archive: Path, workplace: Path) -> None:
    data = IMDb(str(archive), vocab_size=5, max_length=2)
    constant, machine = _found(data)
    assert constant.name in ("always negative", "always positive")
    assert machine.name == "NB-SVM on words and pairs"
    # All words at full length, whatever the network would get.
    model = NBSVM(data.train.whole(), data.val.whole())
    test = data.test.whole()
    assert machine.scores["test_accuracy"].value == np.mean(model.predict(test) == test.targets)
    assert len(np.unique(data.train.whole().values)) > 7
    assert np.diff(test.offsets).max() > 2


def test_the_constant_answer_is_the_most_frequent_class_of_the_training_part() -> None:
    train = texts(*[[2]] * 5, targets=[1, 0, 1, 1, 0])
    val, test = texts(*[[2]] * 4, targets=[0, 0, 0, 1]), texts(*[[2]] * 3, targets=[1, 1, 0])
    constant, *_ = baselines(TWO, train, val, test)
    assert constant.name == "always positive"
    assert constant.scores == {"val_accuracy": (1 / 4, binomial(1, 4)), "test_accuracy": (2 / 3, binomial(2, 3))}


def test_the_constant_answer_at_each_step_counts_steps_with_a_label() -> None:
    def part(*targets: list[int]) -> Ragged:
        flat = np.concatenate([np.array(sequence, np.int64) for sequence in targets])
        offsets = np.cumsum([0, *map(len, targets)])
        return Ragged(np.zeros((len(flat), 1), np.float32), offsets, flat)

    none = NO_LABEL
    train = part([none, 2, 2], [none] * 5, [0, 2, 1])
    val, test = part([2, none], [0, 0, 0], []), part([none, none], [2, 2, none, 1], [2])
    (constant,) = baselines(Facts(1, ("a", "b", "c"), per_step=True), train, val, test)
    assert constant.name == "always c"
    assert constant.scores["val_accuracy"].value == 1 / 4
    assert constant.scores["val_accuracy"].interval == of_mean(np.array([1.0, 0.0]), np.array([1.0, 3.0]))
    assert constant.scores["test_accuracy"].value == 3 / 4
    assert constant.scores["test_accuracy"].interval == of_mean(np.array([2.0, 1.0]), np.array([3.0, 1.0]))


def test_accuracies_are_counted_over_the_whole_part() -> None:
    data = SyntheticSequences(num_train=500, num_val=60, num_test=77, num_classes=3, min_steps=1)
    _, logistic = _found(data)
    test = data.test.whole()
    predicted = Linear(data.train.whole(), False, means).predict(test)
    right = sum(int(p == t) for p, t in zip(predicted, test.targets, strict=True))
    assert logistic.scores["test_accuracy"] == (right / 77, binomial(right, 77))


def test_errors_are_means_over_the_whole_part() -> None:
    data = SyntheticSequences(num_train=200, num_val=60, num_test=77, num_classes=0)
    constant, linear, _ = _found(data)
    test = data.test.whole()
    mean = float(data.train.whole().targets.mean())
    for method, predicted in (
        (constant, np.full(77, mean)),
        (linear, Linear(data.train.whole(), True, means).predict(test)),
    ):
        errors = predicted - test.targets
        assert method.scores["test_mse"].value == pytest.approx(np.mean(errors**2), rel=1e-5)
        assert method.scores["test_mse"].interval == pytest.approx(of_mean(errors**2), rel=1e-5)
        assert method.scores["test_mae"].value == pytest.approx(np.mean(np.abs(errors)), rel=1e-5)
        assert method.scores["test_mae"].interval == pytest.approx(of_mean(np.abs(errors)), rel=1e-5)


def test_a_perplexity_is_that_of_all_tokens_and_its_interval_that_of_whole_windows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    file = tmp_path / "book.txt"
    file.write_text(" ".join(f"w{i}" for i in random.zipf(1.5, 2000).clip(max=40)))
    data = NextWord(str(file), num_steps=16, vocab_size=20)
    unigram, trigram = _found(data)
    assert data.facts.encoder is not None
    test, size = data.test.whole(), data.facts.encoder.vocab_size
    nats = Trigram(data.train.whole(), size).nats(test)
    assert trigram.scores["test_perplexity"].value == pytest.approx(math.exp(sum(nats) / len(nats)))
    sums = np.array([nats[start:end].sum() for start, end in zip(test.offsets, test.offsets[1:], strict=False)])
    by_hand = of_mean(sums, np.diff(test.offsets), np.exp)
    assert trigram.scores["test_perplexity"].interval == pytest.approx(by_hand)
    counts = Counter(data.train.whole().targets.tolist())
    total = sum(counts.values()) + size - 1
    surprise = [-math.log((counts[token] + 1) / total) for token in test.targets.tolist()]
    assert unigram.scores["test_perplexity"].value == pytest.approx(math.exp(np.mean(surprise)))


@pytest.mark.parametrize(
    "train",
    [texts([2, 3], [4], targets=[1, 1]), texts([], [], targets=[0, 1])],
    ids=["one class", "no word"],
)
def test_where_there_is_nothing_to_tell_apart_the_constant_is_alone(train: Ragged) -> None:
    others = texts([2], [], targets=[1, 0])
    (constant,) = baselines(TWO, train, others, others)
    assert constant.scores["test_accuracy"].value == 0.5


def test_numbers_that_are_all_alike_have_a_mean_alone() -> None:
    part = features([[1.0]], [[2.0]], targets=[3.0, 3.0])
    (constant,) = baselines(Facts(1, ()), part, part, part)
    assert {name: score.value for name, score in constant.scores.items()} == dict.fromkeys(
        ("val_mse", "val_mae", "test_mse", "test_mae"), 0.0
    )


def test_a_class_that_only_the_test_part_has_is_never_right() -> None:
    facts = Facts(1, ("a", "b", "c"))
    train = features(*[[[0.0]], [[1.0]]] * 5, targets=[0, 1] * 5)
    test = features([[0.0]], [[1.0]], [[9.0]], targets=[0, 1, 2])
    _, *logistic = baselines(facts, train, test, test)
    assert [method.scores["test_accuracy"].value for method in logistic] == pytest.approx([2 / 3, 2 / 3])


def test_the_linear_methods_can_be_had_here() -> None:
    assert has_extra()
