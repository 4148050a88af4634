"""The NB-SVM beside one that is put together from scikit-learn's own parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import LinearSVC

from rnn_lightning.baselines.nbsvm import NBSVM
from tests.baselines.helpers import texts

GOOD, BAD, NOT, FILM, PLOT = range(2, 7)


def _grams(text: list[int], longest: int = 2) -> set[tuple[int, ...]]:
    return {tuple(text[i : i + n]) for n in range(1, longest + 1) for i in range(len(text) - n + 1)}


def _random_texts(seed: int, count: int, classes: int = 2) -> tuple[list[list[int]], list[int]]:
    """Texts of 0 to 8 words out of ten and a few; those of a higher class have larger ones."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count).tolist()
    return [(random.integers(2, 10, size=random.integers(9)) + 2 * label).tolist() for label in labels], labels


def _keys(machine: NBSVM, grams: Iterable[tuple[int, ...]]) -> list[int]:
    """The keys of n-grams, by the equation."""
    digit = {word: index + 2 for index, word in enumerate(machine.words.tolist())}
    base = len(digit) + 2
    return [sum(digit[word] * base**place for place, word in enumerate(reversed(gram))) for gram in grams]


class Reference:
    """Wang and Manning (2012) by scikit-learn alone, with the frequent n-grams of training texts."""

    def __init__(self, train: list[list[int]], labels: list[int], penalty: float, longest: int = 2) -> None:
        words = [" ".join(map(str, text)) for text in train]
        options = {"binary": True, "ngram_range": (1, longest), "token_pattern": r"\S+"}
        found = CountVectorizer(min_df=3, **options).fit(words).vocabulary_
        # The machine comes closer to its goal number by number, and stops before it is there.
        self.grams = sorted((tuple(map(int, gram.split())) for gram in found), key=lambda gram: (len(gram), gram))
        self.counter = CountVectorizer(vocabulary=[" ".join(map(str, gram)) for gram in self.grams], **options)
        counts = self.counter.transform(words).toarray()
        classes = sorted(set(labels))
        self.lines = []
        for label in classes[1:] if len(classes) == 2 else classes:
            own = np.array(labels) == label
            p, q = 1 + counts[own].sum(0), 1 + counts[~own].sum(0)
            ratios = np.log((p / p.sum()) / (q / q.sum()))
            self.lines.append((ratios, LinearSVC(C=penalty, random_state=0).fit(counts * ratios, own)))

    def scores(self, texts: list[list[int]]) -> np.ndarray:
        counts = self.counter.transform([" ".join(map(str, text)) for text in texts]).toarray()
        return np.stack([line.decision_function(counts * ratios) for ratios, line in self.lines], 1)


def _calibrated(scores: np.ndarray, targets: list[int]) -> np.ndarray:
    """The scale and the offsets with the least cross-entropy to smoothed classes, by a search that knows no slopes."""
    count = 2 if scores.shape[1] == 1 else scores.shape[1]
    wanted = np.zeros((len(targets), count))
    for row, target in enumerate(targets):
        own = targets.count(target)
        wanted[row] = 1 / (own + count)
        wanted[row, target] = (own + 1) / (own + count)

    def loss(parameters: np.ndarray) -> float:
        logits = parameters[0] * scores + parameters[1:]
        logits = np.hstack((np.zeros((len(targets), 1)), logits)) if count == 2 else logits
        return float(-(wanted * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum())

    start = np.array([1.0, *[0.0] * scores.shape[1]])
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 20_000, "maxfev": 20_000}
    return np.asarray(minimize(loss, start, method="Nelder-Mead", options=options).x)


@pytest.mark.parametrize(("classes", "longest"), [(2, 1), (2, 2), (2, 3), (3, 2)])
def test_the_logits_are_those_of_the_equations(classes: int, longest: int) -> None:
    train, labels = _random_texts(0, 90, classes)
    others, other_labels = _random_texts(1, 60, classes)
    machine = NBSVM(texts(*train, targets=labels), texts(*others, targets=other_labels), longest)
    reference = Reference(train, labels, machine.penalty, longest)
    assert machine.keys.tolist() == _keys(machine, reference.grams)
    found = _calibrated(reference.scores(others), other_labels)
    # Twice the same word counts once, and unknown ones not at all.
    asked = [*_random_texts(2, 20, classes)[0], [2, 99, 2, 2, 3], [99], []]
    wanted = found[0] * reference.scores(asked) + found[1:]
    logits = machine.logits(texts(*asked, targets=[0] * len(asked)))
    if classes > 2:  # the same number more in all of them is no change
        wanted, logits = (part - part.mean(1, keepdims=True) for part in (wanted, logits))
    np.testing.assert_allclose(logits, wanted, rtol=2e-3, atol=2e-3)


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
    assert len(machine.keys) == len({gram for text in apart for gram in _grams(text)}) == 5


@pytest.mark.parametrize("labels", [(0, 1), (0, 1, 2), (3, 5), (1, 4, 6, 9)], ids=str)
def test_each_class_is_told_from_all_others(labels: tuple[int, ...]) -> None:
    """Words of its own, behind a word that all have; the numbers of the classes need not begin at 0."""
    train = [[20, 2 + i, 2 + i] for i, _ in enumerate(labels) for _ in range(5)]
    targets = [label for label in labels for _ in range(5)]
    part = texts(*train, targets=targets)
    machine = NBSVM(part, part)
    asked = texts(*([2 + i] for i, _ in enumerate(labels)), targets=labels)
    assert machine.predict(asked).tolist() == [*labels]
    assert len(machine.lines.offsets) == (1 if len(labels) == 2 else len(labels))


def test_words_that_training_has_not_seen_are_passed_over() -> None:
    train = texts(*[[GOOD, FILM]] * 5, *[[BAD, FILM]] * 5, targets=[1] * 5 + [0] * 5)
    unseen = texts([PLOT, 50, GOOD], [99, BAD, 1000], [7, 8, 9], targets=[1, 0, 1])
    machine = NBSVM(train, unseen)
    assert machine.predict(unseen)[:2].tolist() == [1, 0]
    # A text of such words alone is as one without a word.
    assert machine.predict(texts([7, 8, 9], [], targets=[0, 0])).tolist() in ([0, 0], [1, 1])


def test_two_unseen_words_are_not_taken_for_a_pair_that_was_seen() -> None:
    """The largest word of training is BAD; a larger one has no digit in any key."""
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
    assert len(machine.keys) == 6
    assert machine.predict(train).tolist() == [1, 1, 0, 0]


def test_one_frequent_n_gram_is_enough() -> None:
    train = texts([GOOD], [GOOD], [GOOD], [BAD], targets=[1, 1, 1, 0])
    machine = NBSVM(train, train)
    assert machine.words.tolist() == [GOOD]
    assert len(machine.keys) == 1
    assert machine.predict(train).shape == (4,)


def test_the_penalty_has_the_least_cross_entropy_on_validation() -> None:
    train, labels = _random_texts(2, 200)
    noisy = [1 - label if i % 3 == 0 else label for i, label in enumerate(labels)]
    others, other_labels = _random_texts(3, 100)
    machine = NBSVM(texts(*train, targets=noisy), texts(*others, targets=other_labels))
    losses = {}
    for penalty in (0.001, 0.003, 0.01, 0.03, 0.1, 1.0):
        scores = Reference(train, noisy, penalty).scores(others)
        scale, offset = _calibrated(scores, other_labels)
        signs = 1 - 2 * np.array(other_labels)
        losses[penalty] = np.logaddexp(0, signs * (scale * scores[:, 0] + offset)).mean()
    assert machine.penalty == min(losses, key=lambda penalty: losses[penalty])
    own = machine.losses(texts(*others, targets=other_labels)).mean()
    assert own == pytest.approx(losses[machine.penalty], abs=1e-3)


def test_where_all_are_right_nothing_is_certain() -> None:
    train = texts(*[[GOOD]] * 9, *[[BAD]] * 9, targets=[1] * 9 + [0] * 9)
    logits = NBSVM(train, train).logits(train)[:, 0]
    # Of ten more texts one is expected to be of the other class.
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), [10 / 11] * 9 + [1 / 11] * 9, rtol=1e-3)


def test_where_validation_says_the_opposite_the_answers_stay_as_they_were_taught() -> None:
    train = texts(*[[GOOD]] * 9, *[[BAD]] * 9, targets=[1] * 9 + [0] * 9)
    machine = NBSVM(train, train._replace(targets=1 - train.targets))
    good, bad = machine.logits(texts([GOOD], [BAD], targets=[0, 0]))[:, 0]
    assert 0 < good - bad < 0.1


def test_fitting_again_gives_the_same_machine() -> None:
    train, labels = _random_texts(4, 100)
    part = texts(*train, targets=labels)
    first, second = NBSVM(part, part), NBSVM(part, part)
    np.testing.assert_array_equal(first.lines.weights, second.lines.weights)
