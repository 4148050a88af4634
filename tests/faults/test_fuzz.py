"""Changed files of every kind are read, or refused in a line: no crash, no hang, little memory, none of their code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.faults import ROOT


def _fuzzed(count: int, folder: Path, run: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.faults.fuzz", str(count), str(folder / "fuzz"), str(run.resolve())]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{\n") :])
    return found


def _hold(found: dict[str, Any], count: int) -> None:
    assert not found["failures"], "\n".join(found["failures"])
    assert sum(kind.get("read", 0) + kind.get("refused", 0) for kind in found["kinds"].values()) >= count
    print(json.dumps(found["kinds"], indent=1))


def test_some_changed_files_do_no_damage(command: Command, feature_run: Path, tmp_path: Path) -> None:
    assert command("test").code == 0
    _hold(_fuzzed(400, tmp_path, feature_run), 400)


@pytest.mark.slow
def test_a_hundred_thousand_changed_files_do_no_damage(command: Command, feature_run: Path, tmp_path: Path) -> None:
    assert command("test").code == 0
    _hold(_fuzzed(100_000, tmp_path, feature_run), 100_000)
