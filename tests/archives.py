"""A review archive in the original's layout, small enough to be made in a test."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

FILMS = {"pos": (11, 11, 12, 12, 13), "neg": (11, 14, 14, 15, 16)}
"""Number of the film of training review 0, 1, ...; film 11 has positive and negative reviews."""

_TEXTS = {
    "train/pos": (
        "A wonderful film, with wonderful actors.<br /><br />I don't regret a minute!",
        "Wonderful again; the second time I saw more in it.",
        "Der Film ist schön. 電影很好看 😀",
        "Great fun for the whole family, and it's short.",
        "great Great GREAT",
    ),
    "train/neg": (
        "Awful. The actors seem to read their lines from the wall.",
        "I want two hours of my life back, and the price of the ticket.",
        "Boring boring boring",
        "The plot makes no sense; it's a waste of time...",
        "An awful, awful, awful film.",
    ),
    "test/pos": (
        "Unforgettable, a testimony of its time.",
        "Wonderful!",
        "I laughed. I cried. Testimony indeed",
        "Ten out of ten",
        "A small miracle of a film.",
    ),
    "test/neg": (
        "Testimony of bad taste",
        "Awful actors",
        "",
        "One out of ten?<br />Zero.",
        "A big nothing of a film.",
    ),
}


def members() -> dict[str, bytes]:
    """Name and content of each file: 5 reviews a class and split, 2 without label, and the films' addresses."""
    files = {"aclImdb/train/unsup/0_0.txt": b"no label", "aclImdb/train/unsup/1_0.txt": b"\xff not even text"}
    for place, texts in _TEXTS.items():
        rating = 9 if place.endswith("pos") else 2
        # Not in the order of the numbers: neither is the original.
        for number, text in reversed(list(enumerate(texts))):
            files[f"aclImdb/{place}/{number}_{rating}.txt"] = text.encode()
    for label, films in FILMS.items():
        lines = [f"http://www.imdb.com/title/tt{film:07}/usercomments\n" for film in films]
        files[f"aclImdb/train/urls_{label}.txt"] = "".join(lines).encode()
    return files


def pack(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    """Writes these files to an archive."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # any mode
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def unpack(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes these files to a folder."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder
