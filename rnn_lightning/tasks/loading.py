"""From a checkpoint to a working model, without the data it was trained on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch

from rnn_lightning import registry
from rnn_lightning.tasks.base import CHECKPOINT_KEY, SequenceTask
from rnn_lightning.tasks.trust import check_learnt, check_sizes, damaged_part, is_plain

BEST = Path("checkpoints") / "best.ckpt"
_PARTS = ("epoch", "hyper_parameters", "state_dict")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""How https://..., s3://... and file://... begin; a path has no use for the second stroke."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file; only plain data and tensors are accepted, never code.

    Raises:
        ValueError: there is no such file, or it is not a whole checkpoint of rnn-lightning.
    """
    if _ADDRESS.match(str(path)):
        raise ValueError(f"{path} is an address: a checkpoint is a file on this machine, fetched by you")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a checkpoint is a file in it, such as {path / BEST}")
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}{registry.did_you_mean(str(path), _neighbours(path))}")
    try:
        damaged = damaged_part(path)
        checkpoint = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes errors of every kind
        # Torch's own words may advise to run whatever code the file holds: never.
        raise ValueError(f"{path} is not a checkpoint, or is damaged") from error
    if damaged:
        raise ValueError(f"{path} is a damaged checkpoint: {damaged} in it is not as it was written")
    if not _is_ours(checkpoint):
        raise ValueError(f"{path} is not a checkpoint of rnn-lightning")
    return cast(dict[str, Any], checkpoint)


def _neighbours(path: Path) -> list[str]:
    return [str(neighbour) for neighbour in path.parent.glob("*.ckpt")]


def _is_ours(checkpoint: Any) -> bool:
    """Whether everything is there that makes a model."""
    if not isinstance(checkpoint, dict) or not {CHECKPOINT_KEY, *_PARTS} <= checkpoint.keys():
        return False
    origin = checkpoint[CHECKPOINT_KEY]
    if not isinstance(origin, dict) or not {"task", "plugins", "version"} <= origin.keys():
        return False
    known = (*(origin["task"], origin["version"]), *(origin["plugins"] if isinstance(origin["plugins"], list) else [0]))
    kinds = ((checkpoint["hyper_parameters"], dict), (checkpoint["state_dict"], dict), (checkpoint["epoch"], int))
    whole = all(isinstance(name, str) for name in known) and all(isinstance(value, kind) for value, kind in kinds)
    return whole and is_plain(checkpoint["hyper_parameters"])


def model_from(checkpoint: dict[str, Any]) -> SequenceTask:
    """The model that a checkpoint holds, ready to predict.

    Raises:
        ValueError: a package or file that the model needs is not there, or the weights do not fit this version of it.
    """
    origin = checkpoint[CHECKPOINT_KEY]
    check_plugins(checkpoint)
    try:
        task = registry.resolve("tasks", origin["task"])
        _check_size(task, checkpoint)
        model: SequenceTask = task(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
        words = 0 if model.encoder is None else model.encoder.vocab_size
        check_learnt(checkpoint["hyper_parameters"], words, model.labels)
    except Exception as error:
        if origin["plugins"] and not isinstance(error, ValueError | TypeError | RuntimeError):
            raise  # to be told with the line of the user's code
        needs = f" It needs {', '.join(origin['plugins'])}." if origin["plugins"] else ""
        raise ValueError(
            f"the checkpoint was written by rnn-lightning {origin['version']} and cannot be loaded: "
            f"{_first_line(error)}.{needs}"
        ) from error
    return model.eval()


def _check_size(task: type[SequenceTask], checkpoint: dict[str, Any]) -> None:
    """Refuses hyper-parameters that ask for more than the checkpoint has, before it takes their time or memory."""
    layers, weights = checkpoint["hyper_parameters"].get("num_layers"), checkpoint["state_dict"]
    if isinstance(layers, int) and layers > len(weights):
        raise ValueError(f"its hyper-parameters ask for {layers:,} layers, and it has {len(weights)} weights")
    try:
        with torch.device("meta"):
            shapes = task(**checkpoint["hyper_parameters"])
    except Exception:
        if checkpoint[CHECKPOINT_KEY]["plugins"]:
            return  # others' layers may need values already when they are made
        raise
    check_sizes(shapes, weights)


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
