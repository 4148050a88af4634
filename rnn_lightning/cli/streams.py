"""Standard output and error, where nobody listens: closed, full, or in an encoding that lacks a character."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


def make_safe() -> None:
    """Gives the process streams that can be written to, and that show what their encoding lacks by its number."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # it was closed: the next file that is opened would take its place
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def is_lost(stream: TextIO) -> bool:
    """Whether a stream cannot be written; then what is left in it is thrown away, and all that follows."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return True
    return False


@contextmanager
def unheard() -> Iterator[None]:
    """Lets a training go on where its output has nowhere to go: what it prints is in metrics.csv too."""
    heard = sys.stdout
    sys.stdout = cast(TextIO, _Optional(heard))
    try:
        yield
    finally:
        sys.stdout = heard


class _Optional:
    """A stream that may be lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes what can be written."""
        with self._warned():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Sends it off."""
        with self._warned():
            self._stream.flush()

    @contextmanager
    def _warned(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            is_lost(self._stream)
            with suppress(OSError):
                why = f"standard output cannot be written ({error.strerror})"
                print(f"{why}: the training goes on without", file=sys.stderr)
