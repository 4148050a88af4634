"""What the tests of the command share: reading what a run left."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import Result


def only_run() -> Path:
    """The one run folder under runs/."""
    (run,) = Path("runs").glob("*/*")
    return run


def files(folder: Path) -> list[str]:
    """All files under a folder, by their paths in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def epochs(run: Path) -> list[dict[str, float]]:
    """The measurements of each epoch, from metrics.csv."""
    found: dict[str, dict[str, float]] = {}
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            epoch = found.setdefault(row["epoch"], {})
            epoch.update({name: float(value) for name, value in row.items() if value})
    return [found[key] for key in sorted(found, key=int)]


def losses(result: Result) -> list[float]:
    """The training losses that a command printed, one an epoch."""
    return [float(loss) for loss in re.findall(r"train_loss ([\d.]+)", result.out)]


def measured(result: Result) -> dict[str, float]:
    """Names and values of the last line with measurements that a command printed."""
    line = next(line for line in reversed(result.out.splitlines()) if "_loss " in line)
    return {name: float(value) for name, value in re.findall(r"(\w+) (-?\d+\.\d+)", line)}


def recorded(run: Path) -> dict[str, Any]:
    """The config that a run recorded."""
    content: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    return content


def one_mistake(result: Result, *parts: str) -> str:
    """Holds a result to be a mistake of the user's, told in three lines or fewer, with these words in it."""
    assert result.code == 2, result
    lines = result.err.splitlines()
    assert 1 <= len(lines) <= 3, result.err
    assert any(line.startswith("rnn-lightning: ") for line in lines)
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err, result.err
    return result.err
