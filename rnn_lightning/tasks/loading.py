"""From a checkpoint to a working model, without the data it was trained on."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

import torch

from rnn_lightning import registry
from rnn_lightning.tasks.base import CHECKPOINT_KEY, SequenceTask

BEST = Path("checkpoints") / "best.ckpt"
_PARTS = ("epoch", "hyper_parameters", "state_dict")
_FOLDER = 0x10
"""The mark of a folder among a zip file's attributes."""
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError),
    *(RuntimeError, EOFError, OSError, ValueError, KeyError),
)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file; only plain data and tensors are accepted, never code.

    Raises:
        ValueError: there is no such file, or it is not a whole checkpoint of rnn-lightning.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a checkpoint is a file in it, such as {path / BEST}")
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}{registry.did_you_mean(str(path), _neighbours(path))}")
    try:
        damaged = _damaged_part(path)
        checkpoint = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # Torch's own words may advise to run whatever code the file holds: never.
        raise ValueError(f"{path} is not a checkpoint, or is damaged") from error
    if damaged:
        raise ValueError(f"{path} is a damaged checkpoint: {damaged} in it is not as it was written")
    if not _is_ours(checkpoint):
        raise ValueError(f"{path} is not a checkpoint of rnn-lightning")
    return cast(dict[str, Any], checkpoint)


def _neighbours(path: Path) -> list[str]:
    return [str(neighbour) for neighbour in path.parent.glob("*.ckpt")]


def _damaged_part(path: Path) -> str | None:
    """The first part of a checkpoint that is not as it was written; None where all are.

    Torch does not look at the checksums: a weight that was changed on the disk would pass for a trained one.
    """
    with zipfile.ZipFile(path) as file:
        # Of a part that is marked as a folder torch reads nothing, and takes what is in the memory for the weights.
        folders = (part.filename for part in file.infolist() if part.external_attr & _FOLDER)
        return file.testzip() or next(folders, None)


def _is_ours(checkpoint: Any) -> bool:
    """Whether everything is there that makes a model."""
    if not isinstance(checkpoint, dict) or not {CHECKPOINT_KEY, *_PARTS} <= checkpoint.keys():
        return False
    origin = checkpoint[CHECKPOINT_KEY]
    has_origin = isinstance(origin, dict) and {"task", "plugins", "version"} <= origin.keys()
    return has_origin and isinstance(checkpoint["hyper_parameters"], dict)


def model_from(checkpoint: dict[str, Any]) -> SequenceTask:
    """The model that a checkpoint holds, ready to predict.

    Raises:
        ValueError: a package or file that the model needs is not there, or the weights do not fit this version of it.
    """
    origin = checkpoint[CHECKPOINT_KEY]
    check_plugins(checkpoint)
    try:
        task = registry.resolve("tasks", origin["task"])
        model: SequenceTask = task(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
    except (ValueError, TypeError, RuntimeError) as error:
        needs = f" It needs {', '.join(origin['plugins'])}." if origin["plugins"] else ""
        raise ValueError(
            f"the checkpoint was written by rnn-lightning {origin['version']} and cannot be loaded: "
            f"{_first_line(error)}.{needs}"
        ) from error
    return model.eval()


def check_plugins(checkpoint: dict[str, Any]) -> None:
    """Looks whether the packages and files are there that a checkpoint needs; none of them is loaded for it.

    Raises:
        ValueError: one is not.
    """
    task, cell = checkpoint[CHECKPOINT_KEY]["task"], checkpoint["hyper_parameters"].get("cell")
    needed: list[tuple[registry.Group, str | None]] = [("tasks", task), ("layers", cell)]
    missing = [(group, name) for group, name in needed if name is not None and name not in registry.names(group)]
    known = {registry.source(group, name) for group in registry.GROUPS for name in registry.names(group)}
    absent = [plugin for plugin in checkpoint[CHECKPOINT_KEY]["plugins"] if plugin not in known]
    if missing and absent:
        things = " and ".join(f"the {registry.GROUPS[group]} '{name}'" for group, name in missing)
        files = [plugin for plugin in absent if plugin.endswith(".py")]
        packages = [plugin for plugin in absent if plugin not in files]
        places = [*(f"the file {file}" for file in files), *(f"the package {package}" for package in packages)]
        ways = [f"give {' '.join(f'--plugins {file}' for file in files)}"] if files else []
        ways += [f"install {' and '.join(packages)}"] if packages else []
        raise ValueError(f"the checkpoint needs {things} from {' and '.join(places)}: {' and '.join(ways)}")


def load(path: str | Path) -> SequenceTask:
    """A trained model, ready to predict; no data set is needed.

    Args:
        path: a run folder (its best checkpoint is taken) or a checkpoint file.

    Raises:
        ValueError: there is no whole checkpoint.
    """
    path = Path(path)
    return model_from(read_checkpoint(path / BEST if path.is_dir() else path))


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")
