"""Checkpoints on the disk: at no moment is there half of one, or none where there was one."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import TorchCheckpointIO

from rnn_lightning.cli import runs
from rnn_lightning.cli.files import UNFINISHED, sync_folder, write_synced


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints under a temporary name and moves them into place; of the last one the one before stays too."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint.

        Raises:
            OSError: it cannot be written; the one that was there is left as it was.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}{UNFINISHED}")
        # Where the disk is full, torch would have other words for it.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            write_synced(unfinished, content.getbuffer())
            if path.name == runs.LAST.name and path.is_file():
                _keep(path, path.with_name(runs.PREVIOUS.name))
            os.replace(unfinished, path)
            sync_folder(path.parent)
        except OSError as error:
            error.filename = str(path)  # a file that is being written has no name for the system
            raise
        finally:
            with suppress(OSError):
                unfinished.unlink()


def _keep(last: Path, previous: Path) -> None:
    """Gives the last checkpoint a second name, in place of the one that bore it."""
    second = previous.with_name(f"{previous.name}{UNFINISHED}")
    second.unlink(missing_ok=True)
    try:
        os.link(last, second)
    except OSError:  # a file system that knows no second names
        os.replace(last, previous)
        return
    os.replace(second, previous)
    second.unlink(missing_ok=True)  # where both were names of the last one already, nothing was replaced


def write_whole_files(trainer: Trainer) -> None:
    """Has a Trainer write its checkpoints so, if nothing else was chosen to write them."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeFiles()
