"""From a checkpoint to a working model, without the data it was trained on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from rnn_lightning import registry
from rnn_lightning.tasks.base import CHECKPOINT_KEY, SequenceTask

BEST = Path("checkpoints") / "best.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file; only plain data and tensors are accepted, never code.

    Raises:
        ValueError: there is no such file, or it is not a whole checkpoint of rnn-lightning.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        # Torch's own words may advise to run whatever code the file holds: never.
        raise ValueError(f"{path} is not a checkpoint, or is damaged") from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise ValueError(f"{path} is not a checkpoint of rnn-lightning")
    return checkpoint


def model_from(checkpoint: dict[str, Any]) -> SequenceTask:
    """The model that a checkpoint holds, ready to predict.

    Raises:
        ValueError: a package that the model needs is not installed, or the weights do not fit this version of it.
    """
    origin = checkpoint[CHECKPOINT_KEY]
    try:
        task = registry.resolve("tasks", origin["task"])
        model: SequenceTask = task(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
    except (ValueError, TypeError, RuntimeError) as error:
        needs = f" It needs the packages {', '.join(origin['plugins'])}." if origin["plugins"] else ""
        raise ValueError(
            f"the checkpoint was written by rnn-lightning {origin['version']} and cannot be loaded: "
            f"{_first_line(error)}.{needs}"
        ) from error
    return model.eval()


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
