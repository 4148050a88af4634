"""Pictures: whether they can be drawn, and where they go. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
_CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "SimHei")
"""For names of classes in Chinese or Japanese, which matplotlib's own font does not have; those that are installed."""


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


def png(figure: Figure) -> bytes:
    """A picture as the content of a file."""
    from matplotlib.font_manager import fontManager
    from matplotlib.text import Text

    installed = {font.name for font in fontManager.ttflist}
    for text in figure.findobj(Text):
        text.set_fontfamily(["DejaVu Sans", *(font for font in _CJK_FONTS if font in installed)])
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # Where no font has a letter, a box stands for it: what is drawn is said in words beside the picture too.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes a picture as a whole, or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    write_whole(path, png(figure))
