"""`rnn-lightning new`: the package that it makes is well-formed, works from outside, and is missed where it is not."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rnn_lightning import check_layer, load, registry
from tests.cli.helpers import files, one_mistake, only_run
from tests.conftest import Command

MADE = [
    ".gitignore",
    "README.md",
    "configs/tide_pool.yaml",
    "pyproject.toml",
    "tests/test_tide_pool.py",
    "tide_pool/__init__.py",
    "tide_pool/data.py",
    "tide_pool/layer.py",
    "tide_pool/task.py",
]
SMALL = ("--data.num_train=200", "--data.num_val=50", "--data.num_test=20", "--trainer.max_epochs=1")


def _install(project: Path, patch: pytest.MonkeyPatch) -> None:
    """What pip does for the project, by hand: nothing is downloaded."""
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    metadata = project / f"{content['name'].replace('-', '_')}-{content['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {content['name']}\nVersion: 1\n", "utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in content["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups), "utf-8")
    patch.syspath_prepend(project)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Imports the package anew, and leaves it importable: the parser of later tests looks at its classes."""
    before = _forget()
    yield
    sys.modules.update({**before, **_forget()})


@pytest.fixture
def project(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that was made and installed."""
    assert command("new", "tide_pool").code == 0
    with monkeypatch.context() as patch:
        _install(Path("tide_pool").absolute(), patch)
        yield Path("tide_pool")


def _forget() -> dict[str, ModuleType]:
    """Takes the package's modules away."""
    return {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "tide_pool"}


def test_it_makes_a_package_and_says_what_comes_next(command: Command) -> None:
    result = command("new", "tide_pool")
    assert (result.code, result.err) == (0, "")
    assert files(Path("tide_pool")) == MADE
    for name in MADE:
        assert f"\n  {name}" in result.out
        assert "$" not in (Path("tide_pool") / name).read_text("utf-8")
    assert result.out.splitlines()[-3:] == [
        "  pip install -e tide_pool",
        "  pytest tide_pool",
        "  rnn-lightning fit --config tide_pool/configs/tide_pool.yaml",
    ]


@pytest.mark.parametrize("name", ["a", "tide-pool", "TidePool", "x2", "a_rather_long_name_of_a_project_of_mine"])
def test_what_it_makes_passes_lint_and_format(command: Command, name: str) -> None:
    assert command("new", f"deep/er/{name}").code == 0
    for check in (("check",), ("format", "--check")):
        words = [sys.executable, "-m", "ruff", *check, "--no-cache", "deep"]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_trains_from_outside_and_its_checkpoint_misses_it(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project / "configs" / "tide_pool.yaml"
    trained = command("fit", "--config", config, *SMALL)
    assert trained.code == 0, trained.err
    run = only_run()
    assert run.parent.name == "tide_pool_cell-tide_pool"
    assert "(20 sequences)" in command("test").out
    assert len(command("predict").out.splitlines()) == 20
    assert type(load(run)).__name__ == "TidePoolTask"
    check_layer(registry.resolve("layers", "tide_pool_cell"))
    one_mistake(command("fit", "--config", config, "--model.hiden_size=3"), "did you mean 'hidden_size'?")
    one_mistake(command("fit", "--config", config, *SMALL, "--data.noise=-1"), "noise is -1")
    sys.path.remove(str(project.absolute()))
    modules = _forget()
    needs = "the checkpoint needs the task 'TidePoolTask' and the recurrent layer 'tide_pool_cell'"
    one_mistake(command("test"), f"{needs} from the package tide-pool: install tide-pool")
    sys.modules.update(modules)


def test_a_fault_in_its_code_is_told_with_its_line(command: Command, project: Path) -> None:
    layer = project / "tide_pool" / "layer.py"
    layer.write_text(layer.read_text("utf-8").replace("self.hidden_n(f * h)", "self.hidden_n(f, h)"), "utf-8")
    result = command("fit", "--config", project / "configs" / "tide_pool.yaml", *SMALL)
    assert result.code == 1
    assert re.match(r"rnn-lightning: tide_pool/tide_pool/layer.py, line \d+, in step: TypeError: ", result.err)
    assert len(result.err.splitlines()) == 3


def test_a_package_that_cannot_be_imported_is_told(command: Command, project: Path) -> None:
    (project / "tide_pool" / "task.py").write_text("import torch\nx = (1\n", "utf-8")
    importlib.invalidate_caches()
    one_mistake(
        command("fit", *SMALL),
        "the package tide-pool cannot give the task 'TidePoolTask': SyntaxError: '(' was never closed",
        "(task.py, line 2)",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("3d", "'3d' is no name of a package"),
        ("my project", "'my project' is no name of a package"),
        ("tide__pool", "'tide__pool' is no name of a package"),
        ("_tide", "'_tide' is no name of a package"),
        ("tide.pool", "'tide.pool' is no name of a package"),
        ("pöl", "'pöl' is no name of a package"),
        ("class", "'class' is a word of Python's own: call the package otherwise, such as my_class"),
        ("json", "'json' is a module of Python's own library"),
        ("torch", "'torch' is installed already"),
        ("rnn_lightning", "'rnn_lightning' is installed already"),
        ("rnn-lightning", "'rnn-lightning' is installed already"),
        ("scikit-learn", "'scikit-learn' is installed already"),
        ("tests", "'tests' is what the folder tests/ beside the package is called"),
        ("there", "there is there already, and is no empty folder"),
        ("a_file", "a_file is there already, and is no empty folder"),
        ("a_file/tide_pool", "a_file/tide_pool cannot be made: Not a directory"),
        ("--name=tide_pool", "new "),
    ],
)
def test_a_name_that_cannot_be_is_told_and_nothing_is_made(command: Command, name: str, said: str) -> None:
    Path("there").mkdir()
    Path("there/kept").touch()
    Path("a_file").touch()
    one_mistake(command("new", name), said)
    assert files(Path()) == ["a_file", "there/kept"]


@pytest.mark.parametrize("words", [(), ("one", "two")])
def test_it_wants_one_name(command: Command, words: tuple[str, ...]) -> None:
    one_mistake(command("new", *words), "new wants the name of the package to make")


def test_an_empty_folder_can_become_the_package(
    command: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tide-pool").mkdir()
    monkeypatch.chdir("tide-pool")
    assert command("new", ".").code == 0
    assert files(Path()) == MADE


def test_nothing_is_left_where_a_file_cannot_be_written(command: Command) -> None:
    long = "p" * 250  # a folder can be called so, the file test_<name>.py cannot
    Path(f"in/{long}").mkdir(parents=True)
    one_mistake(command("new", f"in/{long}"), "cannot be made: File name too long")
    assert list(Path(f"in/{long}").iterdir()) == []
    one_mistake(command("new", f"out/{long}"), "cannot be made: File name too long")
    assert files(Path()) == []


def test_no_name_that_it_gives_can_be_one_of_ours() -> None:
    assert not [name for name in registry.names("layers") if name.endswith("_cell")]
    assert not [name for name in registry.names("tasks") if name.endswith("Task")]
    assert not [name for name in registry.names("data") if name.endswith("Data")]
