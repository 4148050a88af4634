"""Writing a file so that no half of it is ever seen."""

from __future__ import annotations

import os
from pathlib import Path

from rnn_lightning.cli.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and moves it into place; makes its folder where there is none.

    Raises:
        UserError: it cannot be written there.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
