"""The user's cache folder, which nobody else can write to: what lies in it is believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs

_HINT = "remove it, or let the environment variable XDG_CACHE_HOME name a place of your own"


def cache_folder() -> Path:
    """The folder for what is kept between commands; made where there is none, for its owner alone.

    Raises:
        ValueError: it cannot be made, or others could have put something into it.
    """
    folder = platformdirs.user_cache_path("rnn-lightning")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        raise ValueError(
            f"cannot write the cache folder {folder}: {error.strerror or error}; "
            "the environment variable XDG_CACHE_HOME moves it"
        ) from error
    return folder


def check_private(folder: Path) -> None:
    """Holds a folder to be its user's, as ssh does.

    Raises:
        ValueError: it is another's, or others can write to it, or to what leads to it.
    """
    if not hasattr(os, "getuid"):
        return
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (os.getuid(), 0):
        raise ValueError(f"{folder} is a link that another user made: {_HINT}")
    status = folder.stat()
    if status.st_uid not in (os.getuid(), 0):
        raise ValueError(f"the cache folder {folder} belongs to another user: {_HINT}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(
            f"others can write to the cache folder {folder}, and what lies in it is believed: chmod go-w {folder}"
        )
