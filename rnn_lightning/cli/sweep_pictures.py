"""What `sweep` draws of its trials. Each picture is one function; those that were pruned are faint."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_lightning.cli.curves import COLOURS, FAINT, INK, dress, plain
from rnn_lightning.cli.sweep_space import Range, Space
from rnn_lightning.cli.sweep_study import Trial
from rnn_lightning.cli.sweep_table import value_in_words

_DOT, _BEST = COLOURS[0], COLOURS[1]
_IN_A_ROW = 4


def history(trials: list[Trial], metric: str, direction: str) -> Figure:
    """What each trial reached, in their order, and the best up to then."""
    figure = Figure((7.0, 3.8), layout="constrained")
    axes = figure.subplots()
    finished = sorted(trial for trial in trials if trial.state == "finished")
    values = [trial.value for trial in finished if trial.value is not None]
    _dots(axes, [(trial.number, trial) for trial in trials])
    best = accumulate(values, max if direction == "max" else min)
    axes.step([trial.number for trial in finished], list(best), where="post", color=_BEST, lw=1.5)
    dress(axes, "trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(plain(metric), color=INK)
    return figure


def slices(trials: list[Trial], metric: str, space: Space) -> Figure:
    """What was reached with each value of an option; a panel for each option."""
    columns = min(len(space), _IN_A_ROW)
    rows = -(-len(space) // columns)
    figure = Figure((2.6 * columns + 0.8, 3.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(space) :]:
        axes.set_visible(False)
    for axes, (name, values) in zip(panels.flat, space.items(), strict=False):
        place = _places(values)
        _dots(axes, [(place(trial.options[name]), trial) for trial in trials if name in trial.options])
        dress(axes, plain(name))
        if isinstance(values, Range):
            axes.set_xscale("log" if values.log else "linear")
        else:
            axes.set_xticks(range(len(values)), [plain(value_in_words(value)) for value in values])
            axes.set_xlim(-0.5, len(values) - 0.5)
    for row in panels:
        row[0].set_ylabel(plain(metric), color=INK)
    return figure


def parallel(trials: list[Trial], metric: str, direction: str, space: Space) -> Figure:
    """A line for each trial through all its options to what it reached; the better, the darker."""
    figure = Figure((2.0 + 1.6 * len(space), 3.8), layout="constrained")
    axes = figure.subplots()
    shown = [trial for trial in trials if trial.value is not None and set(space) <= set(trial.options)]
    reached = np.array([trial.value for trial in shown])
    columns = [_share(space[name], [trial.options[name] for trial in shown]) for name in space]
    columns.append(_between(reached, reached.min(), reached.max()))
    order = (-reached if direction == "max" else reached).argsort()[::-1]  # the best ones above the others
    for rank, number in enumerate(order):
        colour = colormaps["Blues"](0.15 + 0.85 * (rank + 1) / len(order))
        axes.plot([column[number] for column in columns], color=colour, lw=1.5)
    ends = [_ends(space[name]) for name in space] + [(value_in_words(reached.min()), value_in_words(reached.max()))]
    for place, (low, high) in enumerate(ends):
        axes.axvline(place, color=FAINT, lw=1)
        for text, height, side in ((low, -0.03, "top"), (high, 1.03, "bottom")):
            axes.text(place, height, plain(text), ha="center", va=side, color=INK, size=8)
    dress(axes, "")
    axes.set_xticks(range(len(ends)), [plain(name.replace(".", ".\n", 1)) for name in (*space, metric)])
    axes.tick_params(axis="x", pad=14)
    axes.set_yticks([])
    axes.set_ylim(-0.02, 1.02)
    axes.spines[:].set_visible(False)
    return figure


def _dots(axes: Axes, places: list[tuple[Any, Trial]]) -> None:
    for place, trial in places:
        if trial.value is not None:
            alpha = 1.0 if trial.state == "finished" else 0.3
            axes.plot([place], [trial.value], "o", color=_DOT, alpha=alpha, ms=5, mew=0)


def _places(values: tuple[Any, ...] | Range) -> Any:
    """Where a value stands: numbers at what they are, others in their order."""
    return (lambda value: value) if isinstance(values, Range) else values.index


def _share(values: tuple[Any, ...] | Range, tried: list[Any]) -> np.ndarray[Any, Any]:
    """How far up the values stand, from 0 to 1."""
    if not isinstance(values, Range):
        return _between(np.array([values.index(value) for value in tried]), 0, len(values) - 1)
    scale = np.log if values.log else np.asarray
    return _between(scale(np.array(tried, float)), *scale([float(values.low), float(values.high)]))


def _between(values: np.ndarray[Any, Any], low: float, high: float) -> np.ndarray[Any, Any]:
    return (values - low) / (high - low) if high > low else np.full(len(values), 0.5)


def _ends(values: tuple[Any, ...] | Range) -> tuple[str, str]:
    low, high = (values.low, values.high) if isinstance(values, Range) else (values[0], values[-1])
    return value_in_words(low), value_in_words(high)
