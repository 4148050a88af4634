"""Writing files so that no half of one is ever seen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rnn_lightning.cli.errors import UserError

UNFINISHED = ".unfinished"
"""What a file is called beside its name until it is whole."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and moves it into place; makes its folder where there is none.

    Raises:
        UserError: it cannot be written there.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes | None]) -> None:
    """Writes files that belong together: never does a new one stand beside an old one.

    Args:
        contents: of each file; None: there is to be none.

    Raises:
        UserError: one of them cannot be written; the old ones are left.
    """
    new = [
        (path, path.with_name(f"{path.name}{UNFINISHED}"), content)
        for path, content in contents.items()
        if content is not None
    ]
    path = next(iter(contents))
    try:
        for path, unfinished, content in new:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_synced(unfinished, content)
        # The first is written over; the others are away before it changes.
        for path in list(contents)[1:]:
            path.unlink(missing_ok=True)
        for path, unfinished, _ in new:
            os.replace(unfinished, path)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        for _, unfinished, _ in new:
            with suppress(OSError):
                unfinished.unlink()


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Writes a file; when this returns, it outlasts a power cut."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlast a power cut, where the operating system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
