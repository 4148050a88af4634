"""Layers, tasks and data sets from the user's own Python files: `--plugins my_layer.py`.

Only the command line names such a file: a config or a checkpoint, which may be another's, never makes a program run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import keyword
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from rnn_lightning import registry
from rnn_lightning.cli import configs, imports
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.verbs import PLUGINS

_loaded: list[Path] = []
"""The files that this command was given."""
_earlier: set[str] = set()
"""Modules of files that a command before it in this process was given: they are read anew."""
_folders: list[str] = []
"""What that has added to sys.path."""


def taken(options: list[str]) -> tuple[list[str], list[str]]:
    """The files that are named, and the other words.

    Raises:
        UserError: the flag stands without a file.
    """
    files, left, words = [], [], list(options)
    while words:
        word = words.pop(0)
        flag, _, value = word.partition("=")
        if flag != PLUGINS.flag:
            left.append(word)
            continue
        if flag == word and words and not words[0].startswith("-"):
            value = words.pop(0)
        if not value:
            raise UserError(f"{flag} wants a Python file, such as my_layer.py")
        files.append(configs.text(flag, value))
    return files, left


def load(files: list[str]) -> None:
    """Registers the classes that are defined in these files; the names of an earlier call are forgotten.

    Args:
        files: paths of Python files.

    Raises:
        UserError: a file cannot be used, with the line that is to blame.
    """
    for path in _loaded:
        registry.forget(path.name)
        _earlier.add(path.stem)
    _loaded.clear()
    sys.path[:] = [folder for folder in sys.path if folder not in _folders]
    _folders.clear()
    for file in files:
        # Not resolved: a link has a name of its own.
        path = Path(os.path.abspath(file))
        if path not in _loaded:
            _register(file, path)


def words() -> list[str]:
    """The options by which another command loads the same here."""
    return [*(f"--plugins={os.path.relpath(path)}" for path in _loaded), *imports.words()]


def fingerprints() -> list[str]:
    """What is loaded, with its content: another one after a change."""
    return [f"--plugins={path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in _loaded]


def short_name(class_name: str) -> str:
    """What a layer's class is called in --model.cell: leaky_gru for LeakyGRU."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def _register(file: str, path: Path) -> None:
    module = _imported(file, path)
    found = list(_classes(module))
    for group, class_ in found:
        if inspect.isabstract(class_):
            lacks = ", ".join(sorted(class_.__abstractmethods__))
            raise UserError(
                f"{file}: {class_.__name__} lacks {lacks}; a base of other classes has a name that begins with _"
            )
        name = short_name(class_.__name__) if group == "layers" else class_.__name__
        try:
            registry.add(group, name, class_, path.name)
        except ValueError as error:
            raise UserError(f"{file}: {error}: call the class {class_.__name__} otherwise") from error
    if not found:
        raise UserError(f"{file} defines no RecurrentLayer, SequenceTask or SequenceData: there is nothing to register")


def _imported(file: str, path: Path) -> ModuleType:
    """The file as a module of its own name, so that other processes and a run's config find its classes by that."""
    if not path.is_file():
        raise UserError(f"--plugins: {file} is a folder" if path.is_dir() else f"--plugins: there is no file {file}")
    name = path.stem
    if path.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
        raise UserError(
            f"--plugins: {file} is not called as a Python module: letters, digits and _, and .py at the end"
        )
    if str(path.parent) not in sys.path:
        # At the end: no file beside it hides an installed module.
        sys.path.append(str(path.parent))
        _folders.append(str(path.parent))
    if name in _earlier:
        _earlier.remove(name)
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    if (other := _found_elsewhere(name, path)) is not None:
        raise UserError(f"--plugins: {file} has the name of another module, {other}: call it otherwise")
    _loaded.append(path)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UserError(_why(file, path, error)) from error


def _found_elsewhere(name: str, path: Path) -> str | None:
    """Where Python finds a module of this name, if not in this file."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # such as __main__
        return name
    origin = None if spec is None else spec.origin
    if origin is None or not Path(origin).exists():
        return name
    return None if Path(origin).samefile(path) else origin


def _why(file: str, path: Path, error: BaseException) -> str:
    """What went wrong in a file while it was read, and in which line."""
    if isinstance(error, SyntaxError) and Path(str(error.filename)).name == path.name:
        return f"{file}, line {error.lineno}: {error.msg}\n    {(error.text or '').strip()}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == path.name]
    if not own:
        return f"{file} cannot be read: {error}"
    if isinstance(error, SystemExit):
        said = 'it ends the program; what is not for others belongs under if __name__ == "__main__":'
    else:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return f"{file}, line {own[-1].lineno}: {said}\n    {own[-1].line}"


def _classes(module: ModuleType) -> Iterator[tuple[registry.Group, type[Any]]]:
    """The classes that a file defines for us; those whose names begin with _ are its own affair."""
    from rnn_lightning.data.base import SequenceData
    from rnn_lightning.layers import RecurrentLayer
    from rnn_lightning.tasks.base import SequenceTask

    bases: dict[registry.Group, type[Any]] = {"layers": RecurrentLayer, "tasks": SequenceTask, "data": SequenceData}
    for name, thing in vars(module).items():
        if isinstance(thing, type) and thing.__module__ == module.__name__ and not name.startswith("_"):
            yield from ((group, thing) for group, base in bases.items() if issubclass(thing, base))
