"""From what the benchmarks wrote with --json to a document, or to a verdict.

    python benchmarks/report.py build/benchmarks/*.json --output docs/benchmarks.md
    python benchmarks/report.py build/benchmarks/quick/*.json --check

The check fails, in one line, where a ratio is far from what it is held to: below 60 % of its floor, or as far above its
ceiling. So near to a floor as measurements on a busy machine are, it says nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from side_by_side import Figure, bound, shown

FAR = 0.6
INTRODUCTION = """\
# Benchmarks

Written by `make bench`, or by the commands below and `benchmarks/report.py`. Ways are measured in turn, again and
again, in one run; a ratio is the median of the ratios within a round. With one thread the processor's time is counted,
with more that of the clock. "load" says how many processes wanted to run meanwhile, on average: it disturbs times more
than ratios, and ratios of two threads more than those of one. What misses the bound that it is held to is **bold**.
"""


def main() -> int:
    """Writes the document, or checks the ratios.

    Returns:
        The exit code: 1 where a ratio is far off.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="what the benchmarks wrote")
    parser.add_argument("--output", type=Path, help="the document")
    parser.add_argument("--check", action="store_true", help="fail where a ratio is far off")
    options = parser.parse_args()
    runs = [json.loads(path.read_text("utf-8")) for path in options.files]
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text("\n".join([INTRODUCTION, *map(_section, runs)]), "utf-8")
    wrong = [figure for run in runs for figure in _figures(run) if far_off(figure)] if options.check else []
    if wrong:
        told = "; ".join(f"{figure.what} {shown(figure)}, {bound(figure)}" for figure in wrong)
        print(f"benchmarks: far off: {told}", file=sys.stderr)
    return 1 if wrong else 0


def far_off(figure: Figure) -> bool:
    """Whether a ratio is nowhere near what it is held to. Times and rates are another machine's business."""
    return not figure.unit and _missed(figure, FAR)


def _missed(figure: Figure, share: float) -> bool:
    """Whether a figure is below this share of its floor, or as far above its ceiling."""
    if figure.at_least is not None:
        return figure.value < share * figure.at_least
    return figure.at_most is not None and figure.value * share > figure.at_most


def _figures(run: dict[str, Any]) -> list[Figure]:
    return [Figure(**figure) for figure in run["figures"]]


def _section(run: dict[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in run["machine"].items())
    on = f", {run['reviews']} reviews" if "reviews" in run else ""
    return "\n".join(
        [
            f"## `{run['command']}`\n",
            f"{machine}{on}\n",
            "| what | measured | held to |",
            "|---|---|---|",
            *map(_row, _figures(run)),
            "",
        ]
    )


def _row(figure: Figure) -> str:
    value = f"**{shown(figure)}**" if _missed(figure, 1.0) else shown(figure)
    return f"| {figure.what} | {value} | {bound(figure)} |"


if __name__ == "__main__":
    sys.exit(main())
