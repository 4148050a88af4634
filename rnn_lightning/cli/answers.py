"""What `report` draws of the test sequences: which classes are mixed up, how sure the model was, what numbers it gave.

S sequences, C classes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_lightning.calibration import calibration
from rnn_lightning.cli.curves import COLOURS, FAINT, INK, colours, dress, legend, plain
from rnn_lightning.cli.predictions import Arrays
from rnn_lightning.intervals import binomial

_MOST_CLASSES = 20
"""With more, the numbers in the squares could not be read."""
_IN_A_ROW = 2
BINS = 10


class Scored(NamedTuple):
    """A measurement of several runs, by what they are called: value and 95 % interval, and what a guess reaches."""

    measure: str
    values: Mapping[str, tuple[float, tuple[float, float] | None]]
    chance: float | None


def confusion(found: Mapping[str, Arrays]) -> Figure | None:
    """How often each class was taken for which, a square for each pair of classes; None with too many classes."""
    tables = {label: (names, table(arrays, names)) for label, arrays in found.items() for names in [classes(arrays)]}
    size = max(len(names) for names, _ in tables.values())
    if size > _MOST_CLASSES:
        return None
    figure, panels = _panels(list(tables), 2.0 + 0.42 * max(size, 4))
    for axes, (names, counts) in zip(panels, tables.values(), strict=True):
        shown = [plain(name) for name in names]
        sizes = counts.sum(1, keepdims=True)
        shares = np.divide(counts, sizes, out=np.zeros(counts.shape), where=sizes > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            text = f"{counts[row, column]:,}" + (f"\n{100 * share:.1f} %" if size <= 10 else "")
            colour = "white" if share > 0.5 else INK
            axes.text(column, row, text, ha="center", va="center", color=colour, size=9 if size <= 10 else 6)
        dress(axes, "answered")
        axes.set_ylabel("true", color=INK)
        axes.grid(visible=False)
        axes.set_xticks(range(len(names)), shown, rotation=0 if max(map(len, names)) < 9 else 45)
        axes.set_yticks(range(len(names)), shown)
    return figure


def table(arrays: Arrays, names: list[str]) -> np.ndarray[Any, Any]:
    """Sequences by true class and answer (C, C)."""
    places = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for true, answered in zip(arrays["target"], arrays["label"], strict=True):
        counts[places[true], places[answered]] += 1
    return counts


def classes(arrays: Arrays) -> list[str]:
    """The classes that occur, as targets or as answers: numbers by their size, words by the alphabet."""
    names = {str(name) for name in np.union1d(arrays["target"], arrays["label"])}
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))


def reliability(found: Mapping[str, Arrays]) -> Figure:
    """How often a model was right that was so sure, and how many sequences that is about; a colour a run."""
    figure = Figure((6.4, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lowest, handles = 1.0, {}
    for colour, (label, arrays) in zip(colours(len(found)), found.items(), strict=True):
        right = arrays["label"] == arrays["target"]
        bins = calibration(arrays["probabilities"], right, BINS)
        some = bins.counts > 0
        ends = [
            binomial(round(share * count), count)
            for share, count in zip(bins.right[some], bins.counts[some], strict=True)
        ]
        heights = np.abs(np.array(ends).T - bins.right[some])
        upper.errorbar(bins.sure[some], bins.right[some], heights, fmt="o-", color=colour, lw=1.5, ms=4, elinewidth=1)
        lower.stairs(bins.counts, bins.edges, color=colour, lw=1.5)
        lowest = min(lowest, bins.edges[0])
        handles[f"{label}: error {bins.error:.3f}"] = colour
    upper.plot([lowest, 1], [lowest, 1], "--", color=INK, lw=1)
    dress(upper, "")
    dress(lower, "probability of the answer")
    upper.set_ylabel("share that is right", color=INK)
    lower.set_ylabel("sequences", color=INK)
    lower.set_yscale("log")
    lower.minorticks_off()
    legend(figure, list(handles), (), "outside upper left")
    return figure


def scatter(found: Mapping[str, Arrays]) -> Figure:
    """What was answered, beside what is true; a panel a run."""
    figure, panels = _panels(list(found), 4.2)
    for axes, arrays in zip(panels, found.values(), strict=True):
        ends = [min(arrays["target"].min(), arrays["value"].min()), max(arrays["target"].max(), arrays["value"].max())]
        axes.plot(ends, ends, "--", color=INK, lw=1)
        axes.plot(arrays["target"], arrays["value"], "o", color=COLOURS[0], alpha=0.3, ms=3, mew=0)
        dress(axes, "true")
        axes.set_ylabel("answered", color=INK)
    return figure


def scores(measured: list[Scored]) -> Figure:
    """A panel for each measurement: a dot for each run, with its 95 % interval; a dashed line at the chance level."""
    labels = list(measured[0].values)
    shown = [plain("\n".join(textwrap.wrap(label, 28))) for label in labels]
    height = sum(1 + text.count("\n") for text in shown)
    figure = Figure((2.0 + 3.2 * len(measured), 1.1 + 0.3 * height), layout="constrained")
    for axes, scored in zip(figure.subplots(1, len(measured), sharey=True, squeeze=False)[0], measured, strict=True):
        for place, (colour, (value, interval)) in enumerate(
            zip(colours(len(labels)), scored.values.values(), strict=True)
        ):
            axes.plot(interval or (value, value), (place, place), color=colour, lw=2, solid_capstyle="butt")
            axes.plot([value], [place], "o", color=colour, ms=7)
        if scored.chance is not None:
            axes.axvline(scored.chance, color=INK, ls="--", lw=1)
            place_of_word = (scored.chance, 1)
            axes.annotate(" chance", place_of_word, xycoords=("data", "axes fraction"), va="top", color=INK, size=8)
        dress(axes, scored.measure)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_yticks(range(len(labels)), shown)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.axhline(len(labels) - 0.5, color=FAINT)
    return figure


def _panels(labels: list[str], side: float) -> tuple[Figure, list[Axes]]:
    """A square panel with a title for each run."""
    columns = min(len(labels), _IN_A_ROW)
    rows = -(-len(labels) // columns)
    figure = Figure((side * columns + 0.6, side * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in panels[len(labels) :]:
        axes.set_visible(False)
    for axes, label in zip(panels, labels, strict=False):
        axes.set_title(plain("\n".join(textwrap.wrap(label, 30))), color=INK, size=10)
    return figure, panels[: len(labels)]
