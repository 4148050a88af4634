"""Linear models: their features counted by hand, and what they can and cannot learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from rnn_lightning.baselines.linear import NBSVM, Linear, all_steps, means
from rnn_lightning.batch import Ragged
from tests.baselines.helpers import features, texts

GOOD, BAD, NOT, FILM, PLOT = range(2, 7)


def _grams(text: list[int]) -> set[tuple[int, ...]]:
    return {(token,) for token in text} | {(text[i], text[i + 1]) for i in range(len(text) - 1)}


def _weighted(machine: NBSVM, part: Ragged, row: int) -> list[float]:
    """What the machine makes of a text: the weights of the n-grams that it knows and that stand there, sorted."""
    values = machine._counts(part)[[row]].multiply(machine.ratios[0]).toarray().ravel()
    return sorted(values[values != 0].tolist())


def _ratios(train: list[list[int]], labels: list[int]) -> dict[tuple[int, ...], float]:
    """Wang and Manning (2012): r = log((p / |p|) / (q / |q|)), p and q the counts of texts, plus 1."""
    grams = [gram for text in train for gram in _grams(text)]
    frequent = sorted((gram for gram in set(grams) if grams.count(gram) >= 3), key=lambda gram: (len(gram), gram))
    count = {}
    for side in (0, 1):
        own = [gram for text, label in zip(train, labels, strict=True) if label == side for gram in _grams(text)]
        count[side] = np.array([1 + own.count(gram) for gram in frequent])
    ratios = np.log(count[1] / count[1].sum()) - np.log(count[0] / count[0].sum())
    return dict(zip(frequent, ratios.tolist(), strict=True))


def _random_texts(seed: int, count: int) -> tuple[list[list[int]], list[int]]:
    """Texts of 0 to 8 words out of ten; those of class 1 have larger ones."""
    random = np.random.default_rng(seed)
    labels = random.integers(2, size=count).tolist()
    return [(random.integers(2, 10, size=random.integers(9)) + 2 * label).tolist() for label in labels], labels


def test_the_ratios_are_those_of_the_equation() -> None:
    train, labels = _random_texts(0, 60)
    machine = NBSVM(texts(*train, targets=labels), texts(*train, targets=labels))
    (ratios,) = machine.ratios
    np.testing.assert_allclose(ratios, list(_ratios(train, labels).values()), rtol=1e-5, atol=1e-6)


def test_a_text_is_the_ratios_of_the_frequent_words_and_pairs_in_it() -> None:
    train, labels = _random_texts(0, 60)
    machine = NBSVM(texts(*train, targets=labels), texts(*train, targets=labels))
    wanted = _ratios(train, labels)
    others = [*_random_texts(1, 20)[0], [2, 99, 2, 2, 3], [99], []]
    part = texts(*others, targets=[0] * len(others))
    for row, text in enumerate(others):
        # However often: twice the same word counts once.
        by_hand = sorted(wanted[gram] for gram in _grams(text) if gram in wanted and wanted[gram] != 0)
        np.testing.assert_allclose(_weighted(machine, part, row), by_hand, rtol=1e-5, atol=1e-6)


NEGATED = [[NOT, GOOD, FILM, BAD], [FILM, NOT, GOOD, BAD], [BAD, FILM, NOT, GOOD]]
PRAISED = [[NOT, BAD, FILM, GOOD], [FILM, NOT, BAD, GOOD], [GOOD, FILM, NOT, BAD]]
"""The same four words in every text: only who stands beside whom tells them apart."""


def test_a_rule_that_single_words_cannot_tell_is_learnt() -> None:
    train = texts(*NEGATED * 4, *PRAISED * 4, targets=[0] * 12 + [1] * 12)
    machine = NBSVM(train, train)
    asked = texts([PLOT, NOT, GOOD, BAD], [PLOT, NOT, BAD, GOOD], targets=[0, 1])
    assert machine.predict(asked).tolist() == [0, 1]
    assert (machine.predict(train) == train.targets).all()


def test_pairs_do_not_reach_over_the_end_of_a_text() -> None:
    """NOT at the end of one text and GOOD at the beginning of the next are no pair."""
    apart = [[FILM, NOT], [GOOD, FILM]] * 5
    machine = NBSVM(texts(*apart, targets=[0, 1] * 5), texts(*apart, targets=[0, 1] * 5))
    assert len(machine.known) == len({gram for text in apart for gram in _grams(text)}) == 5


@pytest.mark.parametrize("labels", [(0, 1), (0, 1, 2), (3, 5), (1, 4, 6, 9)], ids=str)
def test_each_class_is_told_from_all_others(labels: tuple[int, ...]) -> None:
    """Words of its own, behind a word that all have; the numbers of the classes need not begin at 0."""
    train = [[20, 2 + i, 2 + i] for i, _ in enumerate(labels) for _ in range(5)]
    targets = [label for label in labels for _ in range(5)]
    part = texts(*train, targets=targets)
    machine = NBSVM(part, part)
    asked = texts(*([2 + i] for i, _ in enumerate(labels)), targets=labels)
    assert machine.predict(asked).tolist() == [*labels]
    assert len(machine.lines) == (1 if len(labels) == 2 else len(labels))


def test_words_that_training_has_not_seen_are_passed_over() -> None:
    train = texts(*[[GOOD, FILM]] * 5, *[[BAD, FILM]] * 5, targets=[1] * 5 + [0] * 5)
    unseen = texts([PLOT, 50, GOOD], [99, BAD, 1000], [7, 8, 9], targets=[1, 0, 1])
    machine = NBSVM(train, unseen)
    assert machine.predict(unseen)[:2].tolist() == [1, 0]
    # A text of such words alone is as one without a word.
    assert machine.predict(texts([7, 8, 9], [], targets=[0, 0])).tolist() in ([0, 0], [1, 1])


def test_two_unseen_words_are_not_taken_for_a_pair_that_was_seen() -> None:
    """The largest word of training is BAD; what is larger has no number that a known n-gram could have."""
    train = texts(*[[GOOD, BAD]] * 5, *[[GOOD, GOOD]] * 5, targets=[0] * 5 + [1] * 5)
    machine = NBSVM(train, train)
    for word in range(BAD + 1, 60):
        row = machine._counts(texts([word, word + 1, word], targets=[0]))
        assert row.nnz == 0


def test_empty_texts_are_trained_on_and_predicted() -> None:
    train = texts([], *[[GOOD]] * 5, [], *[[BAD]] * 5, [], targets=[0, *[1] * 5, 1, *[0] * 5, 0])
    machine = NBSVM(train, train)
    assert machine.predict(texts([], [GOOD], [], [BAD], [], targets=[0] * 5))[[1, 3]].tolist() == [1, 0]


def test_where_nothing_is_frequent_all_n_grams_count() -> None:
    """Each word and pair occurs in two texts at most."""
    train = texts([GOOD, FILM], [GOOD], [BAD, PLOT], [BAD], targets=[1, 1, 0, 0])
    machine = NBSVM(train, train)
    assert len(machine.known) == 6
    assert machine.predict(train).tolist() == [1, 1, 0, 0]


def test_one_frequent_n_gram_is_enough() -> None:
    train = texts([GOOD], [GOOD], [GOOD], [BAD], targets=[1, 1, 1, 0])
    machine = NBSVM(train, train)
    assert machine.known.tolist() == [GOOD]
    assert machine.predict(train).shape == (4,)


def test_the_penalty_is_the_best_on_validation() -> None:
    train, labels = _random_texts(2, 200)
    noisy = [1 - label if i % 3 == 0 else label for i, label in enumerate(labels)]
    others, other_labels = _random_texts(3, 100)
    val = texts(*others, targets=other_labels)
    machine = NBSVM(texts(*train, targets=noisy), val)
    ratios = _ratios(train, noisy)
    x, y = (
        np.array([[ratio if gram in _grams(text) else 0.0 for gram, ratio in ratios.items()] for text in part])
        for part in (train, others)
    )
    right = {}
    for penalty in (0.001, 0.01, 0.1, 1.0):
        line = LinearSVC(C=penalty, random_state=0).fit(x, noisy)
        right[penalty] = (line.predict(y) == other_labels).sum()
    assert len(set(right.values())) > 1
    best = max(right.values())
    assert right[machine.lines[0].C] == best == (machine.predict(val) == val.targets).sum()


def test_fitting_again_gives_the_same_machine() -> None:
    train, labels = _random_texts(4, 100)
    part = texts(*train, targets=labels)
    first, second = NBSVM(part, part), NBSVM(part, part)
    np.testing.assert_array_equal(first.lines[0].coef_, second.lines[0].coef_)


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
