"""The README does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages
from tests.archives import members, pack


def test_the_chinese_page_shows_the_same_code() -> None:
    assert pages.blocks("README.zh.md") == pages.blocks("README.md")


def test_every_command_and_every_line_of_python_works(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forked: Path
) -> None:
    data, tools = tmp_path / "data", tmp_path / "tools"
    data.mkdir()
    tools.mkdir()
    pack(data / "aclImdb_v1.tar.gz", members())
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(data))
    (workplace / "benchmarks").symlink_to(pages.ROOT / "benchmarks")
    (workplace / "reviews.txt").write_text("A film of many words, and of few ideas.\n" * 40, "utf-8")
    vectors = "".join(f"{word} {' '.join(['0.5'] * 50)}\n" for word in ("the", "a", "film", "and", "."))
    (workplace / "glove.6B.50d.txt").write_text(vectors, "utf-8")
    pages.hold("README.md", forked, tools)
