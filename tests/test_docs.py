"""The pages under docs do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages
from tests.archives import members, pack

_LONG = ("architectures.md",)
"""Pages whose commands train dozens of models."""
_PAGES = [
    pytest.param(path.name, marks=[pytest.mark.slow] if path.name in _LONG else [], id=path.stem)
    for path in sorted((pages.ROOT / "docs").glob("*.md"))
]


@pytest.mark.parametrize("page", _PAGES)
def test_every_command_works_and_prints_what_is_shown(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, forked: Path, page: str
) -> None:
    data, tools = tmp_path / "data", tmp_path / "tools"
    data.mkdir()
    tools.mkdir()
    pack(data / "aclImdb_v1.tar.gz", members())
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(data))
    pages.hold(f"docs/{page}", forked, tools)
