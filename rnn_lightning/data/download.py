"""A verified download, done once however many processes ask for it at the same time."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

PATIENCE = 30.0
"""Seconds that a server may let pass without sending anything."""
_log = logging.getLogger("rnn_lightning")


def download(url: str, sha256: str, target: Path) -> None:
    """Fetches a file, unless another process does so first. An error leaves nothing behind.

    Args:
        url: where it is.
        sha256: its checksum, in hexadecimal digits.
        target: its place here; folders that are missing are made.

    Raises:
        ValueError: it cannot be fetched or written, or it has another checksum.
    """
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():  # or another process was faster
                _log.info("Downloading %s to %s", url, target.parent)
                _fetch(url, sha256, target)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"cannot download {url} to {target.parent}: {_reason(error)}\n"
            f"Get that file and put it at {target}, or say where it is with --data.path."
        ) from error


def _fetch(url: str, sha256: str, target: Path) -> None:
    import pooch
    from tqdm import tqdm

    pooch.get_logger().setLevel(logging.WARNING)  # it would name the unfinished place
    unfinished = target.with_name(f"{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        # The bar is closed before an error is told. Its true size comes from the server, by pooch.
        with tqdm(total=1, unit="B", unit_scale=True, leave=False, disable=None) as bar:
            fetch = pooch.HTTPDownloader(progressbar=bar, timeout=PATIENCE)
            pooch.retrieve(url, f"sha256:{sha256}", target.name, unfinished, downloader=fetch)
        (unfinished / target.name).chmod(0o644)  # pooch leaves it to its owner alone; a data folder may be shared
        (unfinished / target.name).replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _reason(error: OSError | ValueError) -> str:
    """Why a download failed: a few words in place of a library's many."""
    from requests import exceptions
    from urllib3.exceptions import TimeoutError as StalledError

    if isinstance(error, exceptions.Timeout) or any(isinstance(part, StalledError) for part in error.args):
        return f"the server sent nothing for {PATIENCE:g} seconds"
    if isinstance(error, exceptions.HTTPError):
        return str(error).partition(" for url")[0]
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, exceptions.SSLError):
        return "no secure connection"
    if isinstance(error, exceptions.ConnectionError):
        return "no connection"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "what came is not the original file: it has another SHA-256 checksum"
