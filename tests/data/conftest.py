from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnn_lightning.data.corpus import open_corpus
from rnn_lightning.data.reviews import ARCHIVE
from tests.archives import members, pack

_DATA_FOLDER = os.environ.get("RNN_LIGHTNING_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this package, one for each test: the user's own is never touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RNN_LIGHTNING_DATA", raising=False)
    return tmp_path / "cache" / "rnn-lightning"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack(tmp_path / "small.tar.gz", members())


@pytest.fixture(scope="session")
def real_archive() -> Path:
    archive = Path(_DATA_FOLDER or "") / ARCHIVE
    if _DATA_FOLDER is None or not archive.exists():
        pytest.skip(f"$RNN_LIGHTNING_DATA holds no {ARCHIVE}")
    return archive


@pytest.fixture(scope="session")
def _real_cache(real_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("real"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        open_corpus(real_archive)
    return folder


@pytest.fixture
def prepared_archive(real_archive: Path, _real_cache: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real archive, with a cache folder where it is prepared already."""
    monkeypatch.setenv("XDG_CACHE_HOME", _real_cache)
    return real_archive
