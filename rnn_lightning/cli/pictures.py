"""Pictures: whether they can be drawn, and where they go. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def has_matplotlib() -> bool:
    """Whether pictures can be drawn."""
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError:
        return False
    return True


def need_matplotlib(what: str) -> None:
    """Looks whether pictures can be drawn.

    Args:
        what: is to be drawn, for the message.

    Raises:
        UserError: they cannot.
    """
    if not has_matplotlib():
        raise UserError(f"{what} with matplotlib: pip install 'rnn-lightning[plot]'")


def save(figure: Figure, path: Path) -> None:
    """Writes a picture as a whole, or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_whole(path, picture.getvalue())
