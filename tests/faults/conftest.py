"""What the faults' tests share: a row of the table, and ways to bring about what befalls a machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnn_lightning import SequenceClassifier

InEpoch = Callable[[int, Callable[[], object]], None]


class Disk:
    """A small disk of its own, in memory.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, left: int = 0) -> None:
        """Leaves so many bytes of room."""
        status = os.statvfs(self.folder)
        (self.folder / "ballast").write_bytes(bytes(status.f_bavail * status.f_frsize - left))

    def empty(self) -> None:
        """Makes room again."""
        (self.folder / "ballast").unlink()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Holds what was printed against the test's row of the table."""
    check: Callable[[str], None] = request.function.fault.check
    return check


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Calls the system's `mount`, whose last word is a folder, and undoes that at the end."""
    folders: list[str] = []

    def mount(*words: object) -> None:
        done = subprocess.run(["mount", *map(str, words)], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here, which takes the rights of root: {done.stderr.strip()}")
        if not any("remount" in str(word) for word in words):
            folders.append(str(words[-1]))

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(workplace: Path, mount: Callable[..., None]) -> Disk:
    """A disk of four megabytes, in the working directory."""
    folder = workplace / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", folder)
    return Disk(folder)


@pytest.fixture
def read_only(mount: Callable[..., None]) -> Callable[[Path], None]:
    """Makes a folder one that is read only, for root too."""

    def protect(folder: Path) -> None:
        mount("--bind", folder, folder)
        mount("-o", "remount,bind,ro", folder)

    return protect


@pytest.fixture
def in_epoch(monkeypatch: pytest.MonkeyPatch) -> InEpoch:
    """Has something happen once, when an epoch of a training, counted from 1, has begun."""
    begin = SequenceClassifier.on_train_epoch_start

    def happen(number: int, what: Callable[[], object]) -> None:
        left = [what]

        def happening(self: SequenceClassifier) -> None:
            begin(self)
            if self.current_epoch + 1 == number and left:
                left.pop()()

        monkeypatch.setattr(SequenceClassifier, "on_train_epoch_start", happening)

    return happen
