"""Writing files so that no half of one is ever seen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rnn_lightning.cli.errors import UserError


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
    unfinished = {path: path.with_name(f"{path.name}.unfinished") for path, content in contents.items() if content}
    path = next(iter(contents))
    try:
        for path, content in contents.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished[path].write_bytes(content)
        for path in list(contents)[1:]:
            path.unlink(missing_ok=True)
        for path in unfinished:
            os.replace(unfinished[path], path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        for leftover in unfinished.values():
            with suppress(OSError):
                leftover.unlink()
