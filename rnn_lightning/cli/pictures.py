"""Pictures: whether they can be drawn, and where they go. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def need_matplotlib(what: str) -> None:
    """Looks whether pictures can be drawn.

    Args:
        what: is to be drawn, for the message.

    Raises:
        UserError: they cannot.
    """
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        raise UserError(f"{what} with matplotlib: pip install 'rnn-lightning[plot]'") from error


def png(figure: Figure) -> bytes:
    """A picture as the content of a file."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes a picture as a whole, or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    write_whole(path, png(figure))
