"""Files that are read again and again: neither pipes, which would wait for somebody who writes, nor devices."""

from __future__ import annotations

from pathlib import Path


def check_regular(path: Path) -> None:
    """Refuses what is neither a file nor a folder; what is not there at all is told by who opens it.

    Raises:
        ValueError: it is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path} is a pipe or a device: a file is wanted, which can be read more than once")
