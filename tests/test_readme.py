"""The README does what it says: every command and every line of Python in it is run, in the order of the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archives import members, pack

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ELSEWHERE = ("pip ", "make ")
"""Commands that make an environment or run these tests: the gate runs them."""
_RUN = re.compile(r"runs/([a-z_-]+)/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")


def _blocks(page: str) -> list[tuple[str, str]]:
    """Language and content of each block of code."""
    return _BLOCK.findall((ROOT / page).read_text("utf-8"))


def test_the_chinese_page_shows_the_same_code() -> None:
    assert _blocks("README.zh.md") == _blocks("README.md")


def test_every_command_and_every_line_of_python_works(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    pack(data / "aclImdb_v1.tar.gz", members())
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(data))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    _provide_files(workplace)
    done = 0
    for language, content in _blocks("README.md"):
        if language == "sh" and not content.startswith(_ELSEWHERE):
            _succeeds(["bash", "-euo", "pipefail", "-c", content])
        elif language == "python":
            _succeeds([sys.executable, "-c", _RUN.sub(_newest, content)])
        else:
            continue
        done += 1
    assert done > 5


def _provide_files(workplace: Path) -> None:
    """What the page's commands read."""
    (workplace / "benchmarks").symlink_to(ROOT / "benchmarks")
    (workplace / "reviews.txt").write_text("A film of many words, and of few ideas.\n" * 40, "utf-8")
    vectors = "".join(f"{word} {' '.join(['0.5'] * 50)}\n" for word in ("the", "a", "film", "and", "."))
    (workplace / "glove.6B.50d.txt").write_text(vectors, "utf-8")


def _newest(match: re.Match[str]) -> str:
    """A run that this test made, in place of the one that the page names."""
    return str(max(Path("runs", match[1]).iterdir()))


def _succeeds(words: list[str]) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True, encoding="utf-8", timeout=900)
    assert done.returncode == 0, f"{words[-1]}\n{done.stdout}\n{done.stderr}"
