"""Pictures. matplotlib is imported when one is drawn, and never its state of open windows."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_lightning.cli.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by everyone (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/)."""
_DOTS_PER_INCH = 150


def need_matplotlib(what: str) -> None:
    """Looks whether pictures can be drawn.

    Args:
        what: is to be drawn, for the message.

    Raises:
        UserError: they cannot.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"{what} with matplotlib: pip install 'rnn-lightning[plot]'") from error


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, under a temporary name first."""
    unfinished = path.with_name(f"{path.name}.tmp")
    figure.savefig(unfinished, format="png", dpi=_DOTS_PER_INCH)
    os.replace(unfinished, path)


def draw_comparison(panels: list[tuple[str, dict[str, list[float]], float | None]], path: Path) -> None:
    """A panel for each column: a dot for each seed, a bar at the mean, a dashed line at the chance level.

    Args:
        panels: title, values by row, chance level.
        path: of the PNG.
    """
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(row for _, values, _ in panels for row in values))
    figure = Figure(figsize=(1.5 + 2.6 * len(panels), 1.4 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, values, chance) in zip(axes, panels, strict=True):
        for place, row in enumerate(rows):
            seen = [value for value in values.get(row, []) if math.isfinite(value)]
            axis.scatter(seen, [place] * len(seen), s=22, color=COLOURS[0], alpha=0.6, linewidths=0)
            if seen:
                axis.plot([sum(seen) / len(seen)], [place], "|", color=COLOURS[1], markersize=13, markeredgewidth=2)
        if chance is not None:
            axis.axvline(chance, color="0.4", linestyle="--", linewidth=1)
            axis.annotate(" chance", (chance, 1), xycoords=("data", "axes fraction"), va="top", fontsize=7, color="0.4")
        axis.set_title(title, fontsize=9)
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].invert_yaxis()
    save(figure, path)
