"""`rnn-lightning list`: what there is. Neither torch nor anything else that is heavy is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

from rnn_lightning import registry
from rnn_lightning.cli import configs, runs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.source import described
from rnn_lightning.cli.verbs import VERBS
from rnn_lightning.cli.words import taken
from rnn_lightning.registry import did_you_mean

_PRESETS = "presets/"
_NOT_SHOWN = ("test_loss", "test_f1")
"""Scores of a run that wait for --json."""


def listing(options: list[str]) -> int:
    """Prints one kind of thing, or all kinds but the runs.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    words = taken("list", options)
    for name in words.names:
        if name not in _KINDS:
            raise UserError(f"list does not know '{name}'; it knows {', '.join(_KINDS)}{did_you_mean(name, [*_KINDS])}")
    kinds = words.names or [kind for kind in _KINDS if kind != "runs"]
    found = {kind: _KINDS[kind]() for kind in dict.fromkeys(kinds)}
    if words.has("--json"):
        print(json.dumps(found if len(found) > 1 else found[kinds[0]], ensure_ascii=False, indent=2))
        return 0
    for kind, rows in found.items():
        if len(found) > 1:
            print(f"{kind}:")
        indent = "  " if len(found) > 1 else ""
        for line in _lines([_at_a_glance(row) for row in rows] if kind == "runs" else rows):
            print(f"{indent}{line}")
        if not rows:
            print(f"{indent}(none)")
    return 0


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as columns, as wide as they have to be; the last of them as long as it is."""
    cells = [[_shown(value) for value in row.values()] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _verbs() -> list[dict[str, Any]]:
    return [{"name": name, "what": verb.what} for name, verb in VERBS.items()]


def _configs() -> list[dict[str, Any]]:
    return [_config(name) for name in configs.shipped() if not name.startswith(_PRESETS)]


def _presets() -> list[dict[str, Any]]:
    return [{**_config(name), "measured": None} for name in configs.shipped() if name.startswith(_PRESETS)]


def _config(name: str) -> dict[str, Any]:
    """A config with what its first comment says: what it is; the command, and what was measured with it."""
    lines = (configs.folder() / name).read_text("utf-8").splitlines()
    what, command = (line.removeprefix("#").strip() for line in lines[:2])
    return {"name": name, "measured": command.partition("·")[2].strip() or None, "what": what}


def _registered(group: registry.Group) -> list[dict[str, Any]]:
    rows = []
    for name in registry.names(group):
        own = described(registry.place(group, name) or "")
        source = registry.source(group, name)
        rows.append({"name": name, "what": own.what if own is not None else f"from {source}"})
    return rows


def _plugins() -> list[dict[str, Any]]:
    """Installed packages that add layers, tasks or data sets."""
    found: dict[str, list[str]] = {}
    for group in ("layers", "tasks", "data"):
        for entry in entry_points(group=f"rnn_lightning.{group}"):
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.module
            found.setdefault(package, []).append(entry.name)
    return [{"name": package, "what": ", ".join(names)} for package, names in sorted(found.items())]


def _runs() -> list[dict[str, Any]]:
    """The runs, the newest first."""
    return [{**run._asdict(), "folder": str(run.folder)} for run in runs.overview()]


def _at_a_glance(run: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a run: which one, what became of it, how long ago it began, and its scores."""
    measured = {**dict(list(run["best"].items())[:2]), **run["test"]}
    scores = "  ".join(f"{name} {value:.4f}" for name, value in measured.items() if name not in _NOT_SHOWN)
    return {"folder": run["folder"], "state": run["state"], "age": _age(run["start"]), "scores": scores}


def _age(start: str) -> str:
    """How long ago that was, in the largest unit that fits."""
    try:
        minutes = int((datetime.now() - datetime.fromisoformat(start)).total_seconds()) // 60
    except ValueError:
        return ""
    for unit, size in (("days", 24 * 60), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


_KINDS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "verbs": _verbs,
    "configs": _configs,
    "presets": _presets,
    "layers": lambda: _registered("layers"),
    "tasks": lambda: _registered("tasks"),
    "data": lambda: _registered("data"),
    "plugins": _plugins,
    "runs": _runs,
}
