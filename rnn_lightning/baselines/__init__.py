"""What a score is to be compared with: methods without a network, fitted on the same training part.

S sequences, N steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnn_lightning import intervals
from rnn_lightning.baselines.trigram import Trigram, unigram_nats
from rnn_lightning.batch import NO_LABEL, UNKNOWN, Facts, Ragged
from rnn_lightning.intervals import Array, Interval

if TYPE_CHECKING:
    from rnn_lightning.baselines.nbsvm import NBSVM


class Score(NamedTuple):
    """What was measured on a split, with the 95 % interval around it."""

    value: float
    interval: Interval


class Baseline(NamedTuple):
    """A method and what it reaches.

    Attributes:
        name: what it is.
        scores: by the names that the tasks use: val_accuracy, test_perplexity.
        machine: the NB-SVM, where it is one.
    """

    name: str
    scores: dict[str, Score]
    machine: NBSVM | None = None


def has_extra() -> bool:
    """Whether the linear methods can be had: they need scikit-learn."""
    return find_spec("sklearn") is not None


def baselines(facts: Facts, train: Ragged, val: Ragged, test: Ragged, longest: int = 2) -> Iterator[Baseline]:
    """Fits what suits the data, the simplest first, and measures it on validation and test part.

    Args:
        facts: what the data is.
        train: the part to fit on.
        val: the part on which settings are chosen.
        test: the part that is only measured.
        longest: words in the longest n-gram of an NB-SVM.
    """
    parts = {"val": val, "test": test}
    if facts.per_step and facts.labels:
        label = int(np.bincount(train.targets[train.targets != NO_LABEL], minlength=1).argmax())
        yield _baseline(f"always {facts.labels[label]}", parts, lambda part: _step_accuracy(part, label))
        return
    if facts.per_step:
        assert facts.encoder is not None, "targets at each step are classes or tokens"
        size = facts.encoder.vocab_size
        yield _baseline("unigram", parts, lambda part: _perplexity(part, unigram_nats(train, part, size)))
        trigram = Trigram(train, size)
        yield _baseline("interpolated trigram", parts, lambda part: _perplexity(part, trigram.nats(part)))
        return
    measure = _accuracy if facts.labels else _errors
    always = np.bincount(train.targets).argmax() if facts.labels else train.targets.mean()
    name = f"always {facts.labels[always]}" if facts.labels else "always the mean"
    yield _baseline(name, parts, lambda part: measure(part, np.full(len(part.targets), always)))
    if not has_extra() or len(np.unique(train.targets)) < 2 or len(train.values) == 0:
        return  # or nothing to tell apart, or nothing to tell it by
    if facts.encoder is None:
        from rnn_lightning.baselines.linear import Linear, all_steps, means

        kind = "logistic" if facts.labels else "linear"

        def regression(what: str, features: Callable[[Ragged], Array]) -> Baseline:
            model = Linear(train, not facts.labels, features)
            return _baseline(f"{kind} regression on {what}", parts, lambda part: measure(part, model.predict(part)))

        yield regression("mean features", means)
        if len(set.union(*(set(np.diff(part.offsets).tolist()) for part in (train, val, test)))) == 1:
            yield regression("all steps", all_steps)
    elif facts.labels and (train.values > UNKNOWN).any():
        from rnn_lightning.baselines.nbsvm import NBSVM

        machine = NBSVM(train, val, longest)
        name = ("NB-SVM on words", "NB-SVM on words and pairs", "NB-SVM on words, pairs and triples")[longest - 1]
        found = _baseline(name, parts, lambda part: measure(part, machine.predict(part)))
        yield found._replace(machine=machine)


def _baseline(name: str, parts: dict[str, Ragged], measure: Callable[[Ragged], dict[str, Score]]) -> Baseline:
    scores = {f"{split}_{what}": score for split, part in parts.items() for what, score in measure(part).items()}
    return Baseline(name, scores)


def _accuracy(part: Ragged, predicted: Array) -> dict[str, Score]:
    right = int((predicted == part.targets).sum())
    return {"accuracy": Score(right / len(predicted), intervals.binomial(right, len(predicted)))}


def _step_accuracy(part: Ragged, label: int) -> dict[str, Score]:
    """Of one answer at all steps that have a label."""
    right, counts = (_sums(part, steps) for steps in (part.targets == label, part.targets != NO_LABEL))
    labelled = counts > 0
    interval = intervals.of_mean(right[labelled], counts[labelled])
    return {"accuracy": Score(float(right.sum() / counts.sum()), interval)}


def _errors(part: Ragged, predicted: Array) -> dict[str, Score]:
    difference = predicted - part.targets
    errors = {"mse": difference**2, "mae": np.abs(difference)}
    return {name: Score(float(error.mean()), intervals.of_mean(error)) for name, error in errors.items()}


def _perplexity(part: Ragged, nats: Array) -> dict[str, Score]:
    interval = intervals.of_mean(_sums(part, nats), np.diff(part.offsets), np.exp)
    return {"perplexity": Score(float(np.exp(nats.mean())), interval)}


def _sums(part: Ragged, steps: Array) -> Array:
    """What the steps (N,) of each sequence add up to (S,)."""
    up_to = np.concatenate(([0.0], np.cumsum(steps)))
    return np.diff(up_to[part.offsets])
