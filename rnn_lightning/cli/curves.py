"""What `report`, `compare` and `find-lr` draw: from the files of runs to figures. Each picture is one function."""

from __future__ import annotations

import csv
import math
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_lightning.cli.errors import UserError

Place = Literal["outside right upper", "outside upper left"]
"""Where a legend stands."""
Drawn = tuple[Figure | None, list[str]]
"""A picture, or None where no run recorded what it shows; and a line for each run that did not."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""To be told apart by the colour-blind too (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/)."""
_STYLES, _STATES = {"h": "-", "c": "--"}, {"h": "hidden state h", "c": "memory cell c"}
INK, FAINT = "#333333", "#dddddd"
_DECADES = 12
"""Powers of ten that are shown below the largest gradient: what is smaller teaches a layer nothing."""


class Panel(NamedTuple):
    """A column of a comparison: its name, what was measured, by row and seed, and what a guess reaches."""

    name: str
    metric: str
    values: Mapping[str, list[float]]
    chance: float | None


Curves = dict[tuple[str, str, str], list[float]]
"""Norms by distance, of each layer, direction and state."""


def learning(runs: Mapping[str, Path]) -> Drawn:
    """The loss of training and validation in each epoch, a colour a run."""
    found = {label: _losses(run) for label, run in runs.items()}
    missing = [f"{runs[label]} has no losses in metrics.csv yet" for label, losses in found.items() if not losses]
    found = {label: losses for label, losses in found.items() if losses}
    if not found:
        return None, missing
    figure = Figure((7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for colour, losses in zip(colours(len(found)), found.values(), strict=True):
        for name, style in (("val_loss", "-"), ("train_loss", "--")):
            epochs = sorted(losses.get(name, {}))
            axes.plot(epochs, [losses[name][epoch] for epoch in epochs], style, color=colour, lw=1.8, marker="o", ms=3)
    dress(axes, "epoch")
    axes.set_ylabel("loss", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_title("The loss, epoch by epoch", loc="left", color=INK)
    legend(figure, list(found), (("validation", "-"), ("training", "--")))
    return figure, missing


def gradients(runs: Mapping[str, Path]) -> Drawn:
    """How large the gradient is at each distance from the loss, before and after training, a colour a layer."""
    found = {label: _records(run / "gradients.csv") for label, run in runs.items()}
    missing = [
        f"{runs[label]} has no gradients.csv: train with --config presets/gradients.yaml to record it"
        for label, records in found.items()
        if not records
    ]
    found = {label: records for label, records in found.items() if records}
    if not found:
        return None, missing
    figure = Figure((10.5, 4.6), layout="constrained")
    figure.suptitle("How far back the gradient reaches", x=0.01, ha="left", color=INK, weight="bold")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    names = _panel(left, found, min, "before training")
    _panel(right, found, max, "after training")
    left.set_ylabel("norm of the gradient at the state", color=INK)
    left.set_yscale("log")
    drawn = [y for axes in (left, right) for line in axes.lines for y in line.get_ydata() if math.isfinite(y)]
    if drawn:
        left.set_ylim(max(min(drawn) / 3, max(drawn) * 10.0**-_DECADES), max(drawn) * 3)
    states = {state for records in found.values() for curves in records.values() for _, _, state in curves}
    kinds = [(what, _STYLES[state]) for state, what in _STATES.items() if state in states]
    legend(figure, names, kinds)
    return figure, missing


def comparison(panels: list[Panel]) -> Figure:
    """A panel for each task: a dot for each seed, a bar at the mean, a dashed line at the chance level."""
    rows = list(dict.fromkeys(row for panel in panels for row in panel.values))
    figure = Figure((1.5 + 2.6 * len(panels), 1.4 + 0.32 * len(rows)), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        for place, values in enumerate(panel.values[row] for row in rows):
            axes.plot(values, [place] * len(values), "o", color=COLOURS[0], alpha=0.6, ms=5, mew=0)
            if values:
                axes.plot([fmean(values)], [place], "|", color=COLOURS[1], ms=13, mew=2)
        if panel.chance is not None:
            axes.axvline(panel.chance, color=INK, ls="--", lw=1)
            axes.annotate(" chance", (panel.chance, 1), xycoords=("data", "axes fraction"), va="top", color=INK, size=8)
        dress(axes, panel.metric)
        axes.set_title(plain("\n".join(textwrap.wrap(panel.name, 30))), size=10, color=INK)
        axes.set_yticks(range(len(rows)), map(plain, rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _panel(axes: Axes, found: Mapping[str, dict[int, Curves]], pick: Callable[[Any], int], title: str) -> list[str]:
    """One record of each run; returns the names of the lines, in the order of their colours."""
    picked = {label: pick(records) for label, records in found.items()}
    lines = {name: states for label, step in picked.items() for name, states in _by_layer(label, found[label][step])}
    for colour, states in zip(colours(len(lines)), lines.values(), strict=True):
        for state, norms in states.items():
            # A logarithm has no place for 0.
            axes.plot([norm or math.nan for norm in norms], _STYLES[state], color=colour, lw=1.8)
    steps = set(picked.values())
    dress(axes, "steps before the loss")
    axes.set_title(f"{title}, step {steps.pop():,}" if len(steps) == 1 else title, loc="left", color=INK)
    return list(lines)


def _by_layer(label: str, curves: Curves) -> list[tuple[str, dict[str, list[float]]]]:
    """Each layer and direction, by what it is called, with its states: the run's label alone where there is but one."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(dict)
    for (layer, direction, state), norms in curves.items():
        found[layer, direction][state] = norms
    layers, directions = (set(names) for names in zip(*found, strict=True))
    return [
        (", ".join([label, *[f"layer {layer}"] * (len(layers) > 1), *[direction] * (len(directions) > 1)]), states)
        for (layer, direction), states in found.items()
    ]


def _records(path: Path) -> dict[int, Curves]:
    """What gradients.csv holds, by the step of the training."""
    found: dict[int, Curves] = defaultdict(lambda: defaultdict(list))
    try:
        for row in _rows(path):
            if row["state"] not in _STYLES:
                raise ValueError
            found[int(row["step"])][row["layer"], row["direction"], row["state"]].append(float(row["norm"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: it is not what GradientProbe writes") from error
    return found


def _losses(run: Path) -> dict[str, dict[int, float]]:
    """train_loss and val_loss of each epoch, counted from 1."""
    path = run / "metrics.csv"
    found: dict[str, dict[int, float]] = defaultdict(dict)
    try:
        for row in _rows(path):
            for name in ("train_loss", "val_loss"):
                if row.get(name):
                    found[name][int(row["epoch"]) + 1] = float(row[name])
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: it is not what a training writes") from error
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def plain(text: str) -> str:
    """A name as it is: what stands between two dollar signs is no formula."""
    return text.replace("$", r"\$")


def colours(count: int) -> list[Any]:
    """So many colours that can be told apart."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [colormaps["viridis"](index / (count - 1)) for index in range(count)]


def learning_rates(rates: list[float], losses: list[float], smooth: list[float], suggested: float) -> Figure:
    """The loss at each learning rate of a search, as it was and smoothed, with the rate that is suggested."""
    figure = Figure((7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogx(rates, losses, ".", color=COLOURS[5], ms=4, label="a batch")
    axes.semilogx(rates, smooth, color=COLOURS[0], lw=1.8, label="smoothed")
    axes.axvline(suggested, color=COLOURS[1], lw=1.8, label=f"suggested: {suggested:.2g}")
    # One batch at the end may be far above all others.
    low, high = min(losses), max(smooth)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.25 * (high - low))
    dress(axes, "learning rate")
    axes.set_ylabel("train_loss", color=INK)
    axes.set_title("A learning rate to begin with", loc="left", color=INK)
    axes.legend(frameon=False, labelcolor=INK)
    return figure


def dress(axes: Axes, x: str) -> None:
    """Makes a panel plain, with a name for what goes to the right."""
    axes.set_xlabel(x, color=INK)
    axes.grid(color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)


def legend(
    figure: Figure, names: list[str], kinds: Iterable[tuple[str, str]], place: Place = "outside right upper"
) -> None:
    """A colour for each name, then what each style of line means, if there is more than one."""
    pairs = zip(colours(len(names)), names, strict=True)
    lines = [Line2D([], [], color=colour, lw=3, label=plain(name)) for colour, name in pairs]
    styles = [Line2D([], [], color=INK, lw=1.8, ls=style, label=what) for what, style in kinds]
    figure.legend(handles=[*lines, *styles], loc=place, frameon=False, labelcolor=INK)
