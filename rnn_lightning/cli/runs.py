"""Run folders: runs/<architecture>-<task>/<time of its start>/. Nothing heavy is imported here.

The environment variable RNN_LIGHTNING_RUNS names another folder than runs/.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean

ROOT_VARIABLE = "RNN_LIGHTNING_RUNS"
BEST = Path("checkpoints") / "best.ckpt"
CONFIG = "config.yaml"


def architecture(model: dict[str, Any]) -> str:
    """What a model is called in run folders: lstm, bilstm, stacked_gru, from its section of a config."""
    options = model.get("init_args") or {}
    stacked = "stacked_" if (options.get("num_layers") or 1) > 1 else ""
    return f"{stacked}{'bi' if options.get('bidirectional') else ''}{options.get('cell', 'lstm')}"


def root() -> Path:
    """The folder that all runs stand in."""
    return Path(os.environ.get(ROOT_VARIABLE) or "runs")


def create(name: str) -> Path:
    """A new, empty run folder. Two runs that start in the same second get two folders.

    Raises:
        UserError: it cannot be made here.
    """
    start = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
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
    part: str | Path = BEST,
) -> Path | None:
    """The run that started last, of those that have a best checkpoint; None where there is none.

    Args:
        wanted_architecture: only runs of this one.
        wanted_task: only runs of this one.
        wanted_model: only runs of this task class, such as LanguageModel.
        part: the file that they have, if it is not the best checkpoint.
    """
    found = [run for run in root().glob("*/*") if (run / part).is_file()]
    fitting = [
        run
        for run in found
        if (wanted_architecture is None or run.parent.name.startswith(f"{wanted_architecture}-"))
        and (wanted_task is None or run.parent.name.endswith(f"-{wanted_task}"))
        and (wanted_model is None or _model(run) == wanted_model)
    ]
    return max(fitting, key=_start, default=None)


def find(name: str, scored: bool = True) -> Path:
    """The run folder of this name: a path, or the part of it below runs/, or the time of its start alone.

    Args:
        name: which one.
        scored: it is to have a best checkpoint.

    Raises:
        UserError: there is no such run, or it has no best checkpoint yet.
    """
    candidates = [Path(name), root() / name, *root().glob(f"*/{name}")]
    run = next((folder for folder in candidates if (folder / CONFIG).is_file()), None)
    if run is None:
        found = [config.parent for config in root().glob(f"*/*/{CONFIG}")]
        # As it was called: by its whole path, by the part of it below runs/, or by its time.
        parts = Path(name).parts
        called = [str(Path(*run.parts[-len(parts) :])) for run in found]
        raise UserError(f"there is no run '{name}' under {root()}/{did_you_mean(name, called)}")
    if scored and not (run / BEST).is_file():
        raise UserError(f"the run {run} has no best checkpoint yet ({BEST})")
    return run


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


def _start(run: Path) -> tuple[str, int]:
    start, number = run.name[:19], run.name[20:]
    return start, int(number) if number.isdigit() else 1
