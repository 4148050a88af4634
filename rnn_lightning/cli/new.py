"""`rnn-lightning new`: a package of the user's own, with a layer, a task, a data set, a config and a test."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from string import Template

from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.plugins import short_name
from rnn_lightning.cli.words import taken

_TEMPLATE = Path(__file__).parents[1] / "template"
_END = ".template"
"""Of every file there, which is no Python before its placeholders are filled."""
_FOLDERS = ("configs", "tests")
"""What stands beside the package, and cannot have its name."""


def new(options: list[str]) -> int:
    """Makes the package, and says what it holds and what comes next.

    Args:
        options: command-line words: one, the folder to make: its name is the package's.

    Returns:
        The exit code.
    """
    names = taken("new", options).names
    if len(names) != 1:
        raise UserError("new wants the name of the package to make, or a path that ends in it: new my_project")
    shown = Path(configs.text("new", names[0]))
    folder = Path(os.path.abspath(shown))
    package = _package(folder.name)
    made = _made(package)
    _write(folder, shown, made)
    print(f"Made {shown}/")
    width = max(map(len, made)) + 2
    for path, content in made.items():
        print(f"  {path:{width}}{_what(path, content)}".rstrip())
    place = shlex.quote(str(shown))
    print("Next:")
    print(f"  pip install -e {place}")
    print(f"  pytest {place}")
    print(f"  rnn-lightning fit --config {shlex.quote(str(shown / 'configs' / f'{package}.yaml'))}")
    return 0


def _package(name: str) -> str:
    """The name of the package in a folder of this name.

    Raises:
        UserError: it cannot be called so.
    """
    package = name.replace("-", "_")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", package):
        raise UserError(
            f"'{name}' is no name of a package: it is made of words of letters and digits, with - or _ between them"
        )
    taken = ""
    if keyword.iskeyword(package):
        taken = "is a word of Python's own"
    elif package in sys.stdlib_module_names:
        taken = "is a module of Python's own library"
    elif package.lower() in _FOLDERS:
        taken = f"is what the folder {package.lower()}/ beside the package is called"
    elif _is_installed(package):
        taken = "is installed already"
    if taken:
        raise UserError(f"'{name}' {taken}: call the package otherwise, such as my_{package}")
    return package


def _is_installed(package: str) -> bool:
    """Whether something would be hidden by a package of this name; a mere folder would not be."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        return True
    with suppress(PackageNotFoundError):
        distribution(package)
        return True
    return False


def _made(package: str) -> dict[str, str]:
    """The content of each file, by its path in the new folder."""
    name = "".join(part[:1].upper() + part[1:] for part in package.split("_"))
    words = {
        "package": package,
        "distribution": package.replace("_", "-"),
        "Name": name,
        "cell": short_name(f"{name}Cell"),
        "version": version("rnn-lightning"),
    }
    files = {}
    for path in sorted(_TEMPLATE.rglob(f"*{_END}")):
        relative = path.relative_to(_TEMPLATE).as_posix().removesuffix(_END)
        relative = ".gitignore" if relative == "gitignore" else relative.replace("package", package)
        files[relative] = Template(path.read_text("utf-8")).substitute(words)
    return files


def _what(path: str, content: str) -> str:
    """What a file is, from its own first line."""
    if path.endswith(".py"):
        return content.partition("\n")[0].strip('"').rstrip(".")
    return {"toml": "names by which rnn-lightning finds the classes", "yaml": "all three together"}.get(
        path.rpartition(".")[2], ""
    )


def _write(folder: Path, shown: Path, files: dict[str, str]) -> None:
    """Writes all files or none.

    Raises:
        UserError: something is there already, or nothing can be written there.
    """
    try:
        there = folder.exists()
        if there and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{shown} is there already, and is no empty folder")
    except OSError as error:
        raise UserError(f"{shown} cannot be read: {error.strerror}") from error
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
    except OSError as error:
        for path in list(folder.glob("*")) if there else [folder]:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
        raise UserError(f"{shown} cannot be made: {error.strerror}") from error
