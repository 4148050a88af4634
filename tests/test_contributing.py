"""CONTRIBUTING.md to the letter: who touches the files that a checklist names, and no others, has a working thing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import only_run
from tests.conftest import Command
from tests.newcomer.addition import Addition
from tests.newcomer.data import DATA
from tests.newcomer.layer import LAYER
from tests.newcomer.task import TASK

ROOT = Path(__file__).parents[1]
MESSAGES = "".join(f"{('spam', 'ham')[i % 2]}\t{('win a prize', 'see you later')[i % 2]}\n" for i in range(60))
ONE_AFTER_THE_OTHER = """
import json, sys
from rnn_lightning.cli import main
sys.exit(any(main(json.loads(words)) for words in sys.argv[1:]))
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the source tree; what a test starts imports from there."""
    copy = tmp_path / "tree"
    for folder in ("rnn_lightning", "configs", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def _contents(tree: Path) -> dict[str, bytes]:
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def _insert(file: Path, line: str, among: str) -> None:
    """Adds a line in its alphabetical place among those of its kind."""
    lines = file.read_text("utf-8").splitlines()
    kind = [index for index, other in enumerate(lines) if re.match(among, other)]
    assert kind, f"{file} has no line of the kind {among}"
    lines.insert(next((index for index in kind if lines[index] > line), kind[-1] + 1), line)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _write(addition: Addition, tree: Path) -> None:
    for name, content in addition.files.items():
        assert not (tree / name).exists(), f"{name} is there already: the example needs another name"
        (tree / name).write_text(content, "utf-8")
    for name, line, among in addition.lines:
        _insert(tree / name, line, among)
    for name, end in addition.ends.items():
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(end)


def _named(addition: Addition) -> set[str]:
    """The files that the checklist names, from the root of the tree."""
    _, _, rest = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition(f"\n## {addition.checklist}\n")
    files = re.findall(r"`([\w/<>]+\.(?:py|yaml))`", rest.partition("\n## ")[0])
    places = [name if name.startswith(("tests/", "configs/")) else f"rnn_lightning/{name}" for name in files]
    return {place.replace("<name>", addition.name) for place in places}


def _python(tree: Path, *words: str) -> None:
    """Runs a module in the copy and holds it to success."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=tree, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("addition", [LAYER, TASK, DATA], ids=lambda addition: addition.name)
def test_who_follows_a_checklist_has_a_working_thing(addition: Addition, tree: Path, python: Command) -> None:
    before = _contents(tree)
    _write(addition, tree)
    changed = {name for name, content in _contents(tree).items() if content != before.get(name)}
    assert changed == _named(addition)

    for check in (("check",), ("format", "--check")):
        _python(tree, "ruff", *check, *(name for name in changed if name.endswith(".py")))
    own = [name for name in addition.files if name.startswith("tests/")]
    shared = ["tests/test_configs.py", "tests/test_package.py", "tests/test_registry.py"]
    picked = f"{addition.name} or public_name or names_of_a_group"
    _python(tree, "pytest", "-q", "-p", "no:cacheprovider", *own, *shared, "-k", picked)

    Path("messages.tsv").write_text(MESSAGES, "utf-8")
    fit = ["fit", *addition.fit, "--model.hidden_size=8", "--trainer.max_epochs=1"]
    result = python(ONE_AFTER_THE_OTHER, *map(json.dumps, (fit, *([verb] for verb in addition.verbs))))
    assert result.code == 0, result.err
    assert addition.registered in (only_run() / "config.yaml").read_text("utf-8")
