"""The package as a whole: cheap to import, and its rooms look down only."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import rnn_lightning
from tests.conftest import Command

PACKAGE = Path(rnn_lightning.__file__).parent

BELOW = {
    "registry": set(),
    "intervals": set(),
    "regular": set(),
    "vectors": {"regular"},
    "scaling": set(),
    "batch": {"text", "scaling"},
    "text": {"batch"},
    "layers": {"batch", "layers"},
    "testing": {"layers"},
    "stacking": set(),
    "baselines": {"batch", "intervals", "stacking", "baselines"},
    "data": {"batch", "text", "scaling", "regular", "registry", "data"},
    "resuming": set(),
    "tasks": {
        *("batch", "text", "scaling", "layers", "registry"),
        *("intervals", "resuming", "vectors", "stacking", "tasks"),
    },
    "callbacks": {"batch", "layers", "callbacks"},
}
"""What each room may import from, beside other packages; `cli` may import from all."""


def _imports(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = node.module or ""
            names = {f"{module}.{alias.name}" for alias in node.names} if module == "rnn_lightning" else {module}
            found |= names
    return found


def _files(room: str) -> list[Path]:
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else sorted((PACKAGE / room).rglob("*.py"))
    assert files, room
    return files


@pytest.mark.parametrize("room", BELOW)
def test_imports_look_down_only(room: str) -> None:
    for file in _files(room):
        own = {name.split(".")[1] for name in _imports(file) if name.startswith("rnn_lightning.")}
        assert own <= BELOW[room], file


@pytest.mark.parametrize(
    "room", ["layers", "text", "batch", "registry", "testing", "intervals", "vectors", "scaling", "baselines"]
)
def test_lightning_is_not_known_below_tasks_and_data(room: str) -> None:
    for file in _files(room):
        assert not {name for name in _imports(file) if name.split(".")[0] in ("lightning", "torchmetrics")}, file


_ROOMS = tuple(f"rnn_lightning.{room}" for room in ("tasks", "data", "callbacks", "cli"))


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("rnn_lightning", ("torch", "lightning", "numpy", "tokenizers", "jsonargparse")),
        ("rnn_lightning.registry", ("torch", "lightning", "numpy")),
        (
            "rnn_lightning.cli, rnn_lightning.cli.configs, rnn_lightning.cli.runs",
            ("torch", "lightning", "jsonargparse"),
        ),
        ("rnn_lightning.intervals, rnn_lightning.vectors", ("torch", "lightning", "scipy", "sklearn")),
        ("rnn_lightning.baselines", ("lightning", "torchmetrics", "scipy", "sklearn", *_ROOMS)),
        ("rnn_lightning.layers", ("lightning", "torchmetrics", "tokenizers", *_ROOMS)),
        ("rnn_lightning.text", ("lightning", "torchmetrics", *_ROOMS)),
        ("rnn_lightning.data.imdb, rnn_lightning.data.synthetic", ("rnn_lightning.layers", _ROOMS[0], *_ROOMS[2:])),
        ("rnn_lightning.tasks.loading, rnn_lightning.tasks.sequence_classifier", _ROOMS[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_importing_a_module_does_not_import(python: Command, modules: str, absent: tuple[str, ...]) -> None:
    lines = f"import sys, {modules}; print([name for name in {absent} if name in sys.modules])"
    assert python(lines) == (0, "[]\n", "")


SETTINGS = """
import logging, os, warnings
import torch, lightning.pytorch, torchmetrics, jsonargparse
import lightning.pytorch.cli, lightning.pytorch.callbacks, torchmetrics.classification

def settings():
    logs = logging.root.manager.loggerDict
    return {
        "levels": {name: log.level for name, log in logs.items() if hasattr(log, "level") and log.level},
        "handlers": {name: len(log.handlers) for name, log in logs.items() if getattr(log, "handlers", None)},
        "warnings": [str(entry) for entry in warnings.filters],
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "denormals": (torch.tensor([1e-40]) * 1).item() > 0,
        "random numbers": torch.initial_seed() and torch.get_rng_state().tolist(),
        "environment": dict(os.environ),
    }

import rnn_lightning
before = settings()
for name in rnn_lightning.__all__:
    getattr(rnn_lightning, name)
after = settings()
print([name for name in before if before[name] != after[name]])
"""


def test_importing_sets_nothing_for_the_process(python: Command) -> None:
    result = python(SETTINGS)
    assert (result.code, result.out) == (0, "[]\n"), result.err


def test_every_public_name_is_there() -> None:
    assert rnn_lightning.__all__ == sorted(rnn_lightning.__all__)
    for name in rnn_lightning.__all__:
        found = getattr(rnn_lightning, name)
        assert found.__name__ == name
        assert found.__module__.startswith("rnn_lightning.")
        assert found.__doc__


def test_the_public_names_are_listed() -> None:
    assert dir(rnn_lightning) == sorted([*rnn_lightning.__all__, "__version__"])
    assert set(rnn_lightning._MODULES) == set(rnn_lightning.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rnn_lightning' has no attribute 'Lstm'"):
        _ = rnn_lightning.Lstm
    assert not hasattr(rnn_lightning, "SequenceTranslator")


def test_the_version_is_that_of_the_installed_package() -> None:
    assert rnn_lightning.__version__ == version("rnn-lightning")


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").is_file()
