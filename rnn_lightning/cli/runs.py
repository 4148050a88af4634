"""Run folders: runs/<architecture>-<task>/<time of its start>/. Nothing heavy is imported here.

The environment variable RNN_LIGHTNING_RUNS names another folder than runs/.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import TrainingError, UserError
from rnn_lightning.registry import did_you_mean

_log = logging.getLogger("rnn_lightning")

ROOT_VARIABLE = "RNN_LIGHTNING_RUNS"
BEST, LAST, PREVIOUS = (Path("checkpoints") / f"{name}.ckpt" for name in ("best", "last", "previous"))
CONFIG = "config.yaml"
MARK = ".training"
"""A file in the folder of a run that is being trained, locked by its process; an interrupted training leaves it."""
_START = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-(\d+))?")
_FORMAT = "%Y-%m-%d_%H-%M-%S"
_NO_CELL = {"BagOfNgrams": "nbsvm", "Ensemble": "ensemble"}
"""What tasks are called that have no recurrent layers of their own."""
_SHOWN = 3
"""Runs that are named where a name fits several."""


class Run(NamedTuple):
    """What is known of a run at a glance.

    Attributes:
        folder: where it stands.
        architecture: of its model, such as bilstm.
        task: what its data set is called.
        start: when it began, as in "2026-11-22 06:45:37".
        state: running, stopped (before its end) or finished.
        epochs: how many it has measured.
        best: what the validation of its best epoch measured, the quantity that decides first; {} where there was none.
        test: what `test` measured; {} where it was not tested.
    """

    folder: Path
    architecture: str
    task: str
    start: str
    state: str
    epochs: int
    best: dict[str, float]
    test: dict[str, float]


def architecture(model: dict[str, Any]) -> str:
    """What a model is called in run folders: lstm, bilstm, stacked_gru, nbsvm, from its section of a config."""
    name = _NO_CELL.get(str(model.get("class_path")).rpartition(".")[2])
    if name is not None:
        return name
    options = model.get("init_args") or {}
    layers = options.get("num_layers")
    stacked = "stacked_" if isinstance(layers, int) and layers > 1 else ""
    return f"{stacked}{'bi' if options.get('bidirectional') else ''}{options.get('cell', 'lstm')}"


def root() -> Path:
    """The folder that all runs stand in."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs")


def create(name: str) -> Path:
    """A new, empty run folder. Two runs that start in the same second get two folders.

    Where the clock was set back it is named after the newest run, so that it becomes the newest itself.

    Raises:
        UserError: it cannot be made here.
    """
    start, number = datetime.now().strftime(_FORMAT), 1
    newest_run = max((run for run in root().glob("*/*") if _START.fullmatch(run.name)), key=_start, default=None)
    if newest_run is not None and (newest_start := _start(newest_run)) > (start, number):
        if newest_start[0] > start:
            _log.warning(
                "The clock says %s, and the run %s began after that: the new one follows it", start, newest_run
            )
        start, number = newest_start[0], newest_start[1] + 1
    while True:
        folder = root() / name / (start if number == 1 else f"{start}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(f"the run folder {folder} cannot be made: {error.strerror}") from error


def newest(
    wanted_architecture: str | None = None,
    wanted_task: str | None = None,
    wanted_model: str | None = None,
    part: str | Path | tuple[str | Path, ...] = BEST,
) -> Path | None:
    """The run that started last, of those that have a best checkpoint; None where there is none.

    Args:
        wanted_architecture: only runs of this one.
        wanted_task: only runs of this one.
        wanted_model: only runs of this task class, such as LanguageModel.
        part: the file that they have, if it is not the best checkpoint, or files of which they have one.
    """
    parts = part if isinstance(part, tuple) else (part,)
    found = [run for run in _all() if any((run / part).is_file() for part in parts)]
    fitting = [
        run
        for run in found
        if (wanted_architecture is None or run.parent.name.startswith(f"{wanted_architecture}-"))
        and (wanted_task is None or run.parent.name.endswith(f"-{wanted_task}"))
        and (wanted_model is None or _model(run) == wanted_model)
    ]
    return max(fitting, key=_start, default=None)


def find(name: str, part: str | Path = CONFIG) -> Path:
    """The run folder of this name: a path, the part of it below runs/, the start alone, or how one of these begins.

    Args:
        name: which one.
        part: a file that it is to have.

    Raises:
        UserError: there is no such run, or there are several, or it has no such file.
    """
    run = named(name)
    if run is None:
        known = [text for folder in _all() for text in (folder.name, _below(folder))]
        raise UserError(f"there is no run '{name}' under {root()}/{did_you_mean(name, known)}")
    if not (run / part).is_file():
        raise UserError(f"the run {run} has no {Path(part).stem} checkpoint yet ({part})")
    return run


def named(name: str) -> Path | None:
    """The run folder of this name, as in `find`; None where there is none.

    Raises:
        UserError: there are several.
    """
    for folder in (Path(name), root() / name):
        if (folder / CONFIG).is_file():
            return folder
    start = name.removeprefix(f"{root()}/")
    names = {folder: (folder.name, _below(folder)) for folder in _all() if start}
    fitting = [folder for folder, its in names.items() if start in its]
    fitting = fitting or [folder for folder in names if folder.parent.name == start]
    fitting = fitting or [folder for folder, its in names.items() if any(text.startswith(start) for text in its)]
    if len(fitting) > 1:
        shown = [_below(folder) for folder in sorted(fitting, key=_start, reverse=True)]
        further = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        raise UserError(f"'{name}' fits {len(shown)} runs: {', '.join(shown[:_SHOWN])}{further}")
    return fitting[0] if fitting else None


def place(name: str) -> Path:
    """A path as it is, and else the folder of the run of this name.

    Raises:
        UserError: there is neither.
    """
    return Path(name) if Path(name).exists() else find(name, BEST)


def overview() -> list[Run]:
    """All runs, the newest first. What cannot be read of one is taken for not there."""
    return [at_a_glance(run) for run in sorted(_all(), key=_start, reverse=True)]


def at_a_glance(run: Path) -> Run:
    """What is known of a run without its checkpoints."""
    name, _, task = run.parent.name.partition("-")
    day, _, time = _start(run)[0].partition("_")
    epochs, best = _measured(run)
    return Run(run, name, task, f"{day} {time.replace('-', ':')}".strip(), _state(run), epochs, best, _tested(run))


@contextmanager
def in_training(run: Path) -> Iterator[None]:
    """Marks a run as one that is being trained. The mark stays where the training does not come to its end.

    Raises:
        UserError: another process is training it.
    """
    from filelock import FileLock, Timeout

    mark = run / MARK
    was_interrupted = mark.is_file()
    lock = FileLock(mark)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"the run {run} is being trained by another process") from error
    except OSError as error:
        raise UserError(f"{mark} cannot be written: {error.strerror}") from error
    try:
        yield
    except TrainingError:
        raise
    except (UserError, ValueError):
        # It did not begin.
        if not was_interrupted:
            mark.unlink(missing_ok=True)
        raise
    else:
        mark.unlink(missing_ok=True)
    finally:
        lock.release()


def recorded(run: Path) -> dict[str, Any]:
    """The config that a run recorded when it started.

    Raises:
        UserError: it is damaged.
    """
    content = configs.read(run / CONFIG)
    for section in ("model", "data"):
        if not isinstance(content.get(section), dict) or "class_path" not in content[section]:
            raise UserError(f"{run / CONFIG} is not the config of a run: no class_path in the section '{section}'")
    return content


def _model(run: Path) -> str | None:
    if not (run / CONFIG).is_file():
        return None
    name: str = recorded(run)["model"]["class_path"]
    return name.rpartition(".")[2]


def _state(run: Path) -> str:
    try:
        import fcntl
    except ImportError:  # where there is no flock, nothing tells the two apart
        return "stopped" if (run / MARK).is_file() else "finished"
    try:
        with (run / MARK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return "finished"
    except OSError as error:
        return "running" if isinstance(error, BlockingIOError) else "stopped"
    return "stopped"


def _measured(run: Path) -> tuple[int, dict[str, float]]:
    """How many epochs metrics.csv has, and what the validation of the best one measured."""
    monitor, mode = _monitored(run)
    epochs, best = 0, dict[str, float]()
    better = max if mode == "max" else min
    with suppress(OSError, ValueError, csv.Error), (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            measured = {name: value for name, text in row.items() if name and (value := _number(text)) is not None}
            epochs = max(epochs, int(measured.get("epoch", -1)) + 1)
            score = measured.get(monitor)
            if score is not None and (not best or better(score, best[monitor]) != best[monitor]):
                best = {monitor: score, **{name: value for name, value in measured.items() if name.startswith("val_")}}
    return epochs, best


def _monitored(run: Path) -> tuple[str, str]:
    """What decides which epoch is best, and whether the least or the most of it."""
    with suppress(OSError, ValueError, yaml.YAMLError, TypeError, KeyError, RecursionError):
        # The parser in C is six times as fast.
        content = yaml.load((run / CONFIG).read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return str(content["checkpoint"]["monitor"]), str(content["checkpoint"]["mode"])
    return "val_loss", "min"


def _tested(run: Path) -> dict[str, float]:
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        content = json.loads((run / "test" / "metrics.json").read_text("utf-8"))
        return {name: float(value) for name, value in content.items() if name.startswith("test_")}
    return {}


def _number(text: object) -> float | None:
    """A finite number; None for anything else."""
    with suppress(TypeError, ValueError):
        value = float(str(text))
        return value if math.isfinite(value) else None
    return None


def _all() -> list[Path]:
    return [run for run in sorted(root().glob("*/*")) if (run / CONFIG).is_file()]


def _below(run: Path) -> str:
    return f"{run.parent.name}/{run.name}"


def _start(run: Path) -> tuple[str, int]:
    """When a run started, for sorting; of a folder with another name, when its config was written."""
    match = _START.fullmatch(run.name)
    if match is not None:
        return match[1], int(match[2] or 1)
    with suppress(OSError):
        return datetime.fromtimestamp((run / CONFIG).stat().st_mtime).strftime(_FORMAT), 1
    return "", 1
