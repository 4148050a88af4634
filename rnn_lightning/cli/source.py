"""What the classes of this package say of themselves, read from their source: nothing of it is imported."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

_PACKAGE = Path(__file__).parents[1]
_ARGUMENT = re.compile(r"^( {4})(\w+): (.*)$")


class Argument(NamedTuple):
    """An argument of a class: its name, its type and default as they are written, and its meaning."""

    name: str
    type: str
    default: str | None
    what: str


class Described(NamedTuple):
    """A class: the first line of its docstring, and the arguments that it is made from."""

    what: str
    arguments: tuple[Argument, ...]


def described(place: str) -> Described | None:
    """What a class of this package says of itself.

    Args:
        place: as "rnn_lightning.module:Class".

    Returns:
        None where it is another package's.
    """
    module, _, name = place.partition(":")
    package, *parts = module.split(".")
    path = _PACKAGE.joinpath(*parts).with_suffix(".py")
    if package != _PACKAGE.name or not path.is_file():
        return None
    classes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    node = next(node for node in classes if node.name == name)
    doc = ast.get_docstring(node) or ""
    meanings = _meanings(doc)
    init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    arguments = [] if init is None else _arguments(init, meanings)
    return Described(doc.partition("\n")[0].rstrip("."), tuple(arguments))


def _arguments(init: ast.FunctionDef, meanings: dict[str, str]) -> list[Argument]:
    named = init.args.args[1:]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(init.args.defaults))
    return [
        Argument(
            argument.arg,
            ast.unparse(argument.annotation) if argument.annotation else "",
            None if default is None else ast.unparse(default),
            meanings.get(argument.arg, ""),
        )
        for argument, default in zip(named, [*defaults, *init.args.defaults], strict=True)
    ]


def _meanings(doc: str) -> dict[str, str]:
    """The meaning of each argument, from the section "Args:" of a docstring."""
    found: dict[str, str] = {}
    name = ""
    for line in doc.partition("\nArgs:\n")[2].splitlines():
        if match := _ARGUMENT.match(line):
            name = match[2]
            found[name] = match[3].strip()
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
        elif line.strip():
            break  # the next section
    return found
