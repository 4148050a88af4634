"""Which runs differ beyond chance? Those that were tested on the same sequences, each against the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnn_lightning.cli.predictions import Arrays
from rnn_lightning.intervals import Array, Interval, of_mean
from rnn_lightning.paired import holm, mcnemar, sign_flips

_LEVEL = 0.05


class Pair(NamedTuple):
    """Two runs, compared sequence by sequence.

    Attributes:
        best: the run that is better on the first measurement of its kind.
        other: the run that it is compared with.
        measure: what is compared.
        values: what the two reach.
        interval: the 95 % interval of the difference.
        p: of the test that they do not differ, Holm's correction made.
        compared: with how many runs the best one is compared.
    """

    best: str
    other: str
    measure: str
    values: tuple[float, float]
    interval: Interval
    p: float
    compared: int

    @property
    def difference(self) -> float:
        """What the best run has more than the other."""
        return self.values[0] - self.values[1]

    @property
    def differ(self) -> bool:
        """Whether there is more to it than chance."""
        return self.p < _LEVEL

    def __str__(self) -> str:
        (first, second), (low, high) = self.values, self.interval
        verdict = f"these two runs {'differ' if self.differ else 'do not differ'} beyond chance"
        corrected = f" (corrected for {self.compared} comparisons)" if self.compared > 1 else ""
        return (
            f"{self.best} and {self.other}: {self.measure} {first:.4f} against {second:.4f}, "
            f"difference {self.difference:.4f} [{low:.4f}, {high:.4f}], {p_in_words(self.p)}{corrected}: {verdict}"
        )


class _Measure(NamedTuple):
    """A measurement, as a mean over sequences or over their steps."""

    name: str
    sums: Array
    counts: Array
    higher_is_better: bool = False
    of_yes_or_no: bool = False

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.counts.sum())


def compared(found: Mapping[str, Arrays]) -> tuple[list[Pair], list[str]]:
    """Compares the runs that were tested on the same sequences.

    Args:
        found: what came out for each test sequence, by what the run is called.

    Returns:
        The comparisons, and a line for each run that cannot be compared with those before it.
    """
    groups: list[list[str]] = []
    for label, arrays in found.items():
        group = next((group for group in groups if _same_part(found[group[0]], arrays)), None)
        if group is None:
            groups.append([label])
        else:
            group.append(label)
    lines = [
        f"{group[0]} and {groups[0][0]} were tested on other sequences: they cannot be compared one by one"
        for group in groups[1:]
    ]
    pairs = [pair for group in groups if len(group) > 1 for pair in _against_the_best(group, found)]
    return pairs, lines


def p_in_words(p: float) -> str:
    """Such as p = 0.31, with no more digits than it is worth."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _same_part(one: Arrays, other: Arrays) -> bool:
    """Whether two runs had the same targets in the same order; for those of single steps there are checksums."""
    names = ("target", "checksum", "steps", "tokens")
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in names if name in one)


def _against_the_best(group: list[str], found: Mapping[str, Arrays]) -> list[Pair]:
    measures = {label: _measures(found[label]) for label in group}
    best = max(group, key=lambda label: _rank(measures[label][0]))
    others = [label for label in group if label != best]
    pairs = []
    for index, first in enumerate(measures[best]):
        # Of numbers that are none nothing follows.
        others_here = [label for label in others if np.isfinite(first.sums - measures[label][index].sums).all()]
        seconds = [measures[label][index] for label in others_here]
        ps = holm([_p(first, second) for second in seconds])
        for label, second, p in zip(others_here, seconds, ps, strict=True):
            interval = of_mean(first.sums - second.sums, first.counts)
            values = (first.mean, second.mean)
            pairs.append(Pair(best, label, first.name, values, interval, p, len(ps)))
    # What was measured of two runs stands together.
    return sorted(pairs, key=lambda pair: others.index(pair.other))


def _rank(measure: _Measure) -> float:
    return measure.mean if measure.higher_is_better else -measure.mean


def _p(first: _Measure, second: _Measure) -> float:
    if first.of_yes_or_no:
        return mcnemar(first.sums > 0, second.sums > 0)
    return sign_flips(first.sums - second.sums)


def _measures(arrays: Arrays) -> list[_Measure]:
    """What a mean of can be compared, that first by which the best run is the best."""
    each = np.ones(len(arrays["loss"]))
    if "label" in arrays:
        right = (arrays["label"] == arrays["target"]).astype(float)
        return [_Measure("test_accuracy", right, each, True, True), _Measure("test_loss", arrays["loss"], each)]
    if "value" in arrays:
        return [_Measure("test_mse", arrays["loss"], each)]
    steps = arrays["steps" if "steps" in arrays else "tokens"]
    # A sequence without steps adds nothing; drawn alone it would have no mean.
    some = steps > 0
    losses = _Measure("test_loss", (arrays["loss"] * steps)[some], steps[some])
    if "steps" not in arrays:
        return [losses]
    return [_Measure("test_accuracy", arrays["right"][some].astype(float), steps[some], True), losses]
