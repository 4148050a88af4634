"""What a comparison measured: its table in print, as CSV, and as a picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_whole
from rnn_lightning.cli.pictures import save
from rnn_lightning.registry import did_you_mean

_MAIN = ("test_accuracy", "test_perplexity", "test_mse", "test_loss")
"""The measurement that a table shows: the first of these that there is."""
_RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """What a training came to.

    Attributes:
        row: name of what is compared.
        column: name of what it is compared on.
        seed: of the training.
        seconds: that training and test took.
        parameters: trained numbers of the model.
        measured: by the names of test.
        chance: what a guess reaches, by the same names, as far as it is known.
    """

    row: str
    column: str
    seed: int
    seconds: float
    parameters: int
    measured: dict[str, float]
    chance: dict[str, float]

    def __str__(self) -> str:
        main = next(name for name in (*_MAIN, *self.measured) if name in self.measured)
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"{main} {self.measured[main]:.4f}  ({minutes}:{seconds:02d})"


def read_result(folder: Path, words: list[str]) -> Result | None:
    """What stands in a training's folder, if it is the result of these options of fit."""
    try:
        content = json.loads((folder / _RESULT).read_text("utf-8"))
        return Result(**content["result"]) if content["options"] == words else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_result(folder: Path, words: list[str], result: Result) -> None:
    """Keeps a result with the options of fit that it came from."""
    content = json.dumps({"options": words, "result": asdict(result)}, indent=2) + "\n"
    write_whole(folder / _RESULT, content.encode())


def choose_metrics(results: list[Result], wanted: str | None) -> dict[str, str]:
    """The measurement that is shown of each column.

    Raises:
        UserError: the wanted one was not measured.
    """
    found = {}
    for result in results:
        if wanted is not None and wanted not in result.measured:
            known = list(result.measured)
            raise UserError(
                f"--metric is '{wanted}', which {result.column} does not measure; there are {', '.join(known)}"
                f"{did_you_mean(wanted, known)}"
            )
        found[result.column] = wanted or next(name for name in (*_MAIN, *result.measured) if name in result.measured)
    return found


def printed(results: list[Result], metrics: dict[str, str]) -> str:
    """The table in Markdown: mean and standard deviation over the seeds."""
    rows = [["", *(f"{column}, {metric}" for column, metric in metrics.items())]]
    chances = [_chance(results, column, metric) for column, metric in metrics.items()]
    if any(chance is not None for chance in chances):
        rows.append(["chance level", *("" if chance is None else f"{chance:.4f}" for chance in chances)])
    for row in dict.fromkeys(result.row for result in results):
        values = [_values(results, row, column, metric) for column, metric in metrics.items()]
        rows.append([row, *map(in_words, values)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([lines[0], rule, *lines[1:]])


def write_table(output: Path, results: list[Result], metrics: dict[str, str]) -> list[Path]:
    """Writes runs.csv (each training), table.csv (means over the seeds) and table.png.

    Returns:
        The files.
    """
    names = list(dict.fromkeys(name for result in results for name in result.measured))
    runs = [
        {
            **{name: value for name, value in asdict(result).items() if name not in ("measured", "chance")},
            **result.measured,
        }
        for result in results
    ]
    table = [
        line
        for column, metric in metrics.items()
        for row in dict.fromkeys(result.row for result in results)
        if (line := _line(results, row, column, metric)) is not None
    ]
    paths = [output / "runs.csv", output / "table.csv", output / "table.png"]
    write_whole(paths[0], _csv(runs, ["row", "column", "seed", "seconds", "parameters", *names]).encode())
    write_whole(paths[1], _csv(table, list(table[0])).encode())
    from rnn_lightning.cli import curves  # which imports matplotlib

    rows = dict.fromkeys(result.row for result in results)
    save(
        curves.comparison(
            [
                curves.Panel(
                    column,
                    metric,
                    {row: _values(results, row, column, metric) for row in rows},
                    _chance(results, column, metric),
                )
                for column, metric in metrics.items()
            ]
        ),
        paths[2],
    )
    return paths


def _line(results: list[Result], row: str, column: str, metric: str) -> dict[str, object] | None:
    """A line of table.csv; None where no training has a result."""
    here = [result for result in results if (result.row, result.column) == (row, column)]
    if not here:
        return None
    values = [result.measured[metric] for result in here]
    return {
        "row": row,
        "column": column,
        "metric": metric,
        "chance": here[0].chance.get(metric),
        "mean": mean(values),
        "standard_deviation": stdev(values) if len(values) > 1 else None,
        "seeds": len(values),
        "parameters": here[0].parameters,
        "seconds": mean(result.seconds for result in here),
    }


def _values(results: list[Result], row: str, column: str, metric: str) -> list[float]:
    return [result.measured[metric] for result in results if (result.row, result.column) == (row, column)]


def _chance(results: list[Result], column: str, metric: str) -> float | None:
    return next((result.chance.get(metric) for result in results if result.column == column), None)


def in_words(values: list[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def _csv(lines: list[dict[str, object]], names: list[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
