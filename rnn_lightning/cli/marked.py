"""YAML whose keys know the line that they stand in. Nothing heavy is imported here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rnn_lightning.cli.errors import UserError

_MOST = 100_000
"""Values that a file may have once its anchors are written out: a few lines can stand for billions."""

_NAMES = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
"""Kinds of a key: `<<` is the second."""


Keys = Sequence[str | int]
"""What leads to a value: names, one under the other, and the places of items in lists where they matter."""


class Document(NamedTuple):
    """What a file holds: its content, and the same as nodes with marks; None where it is empty."""

    content: Any
    root: yaml.Node | None


class Loader(yaml.SafeLoader):
    """As the parser's own: 1e-3 is a number, as in YAML 1.2, and 2026-01-01 is text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read(path: Path) -> Document:
    """Reads a file of plain values.

    Raises:
        UserError: it cannot be read, is not YAML, or says something twice.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {number}: this is not UTF-8 text (byte {error.start})") from error
    loader = None
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            return Document(None, None)
        if _size(path, root, {}) > _MOST:
            raise UserError(f"{path} is not a config: written out, its anchors stand for more than {_MOST:,} values")
        return Document(loader.construct_document(root), root)
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {number}: this is not YAML (the character {chr(error.character)!a})") from error
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{place}: this is not YAML ({error.problem or error.context})") from error
    except RecursionError as error:
        raise UserError(f"{path} is not a config: its lists and tables are nested too deeply") from error
    except ValueError as error:  # of a value that looks like a date or a number, and is none
        raise UserError(f"{path}: this is not YAML ({error})") from error
    finally:
        if loader is not None:
            loader.dispose()


def find(node: yaml.Node | None, keys: Keys, of_class: str = "") -> yaml.Node | None:
    """The node of the last of these keys, one under the other; None where they do not stand there.

    `callbacks+` counts as `callbacks`, and `init_args` may be left out, as on the command line.

    Args:
        node: where to begin.
        keys: what leads to it.
        of_class: in a list, only an item of this class is meant.
    """
    if isinstance(node, yaml.SequenceNode):
        if keys and isinstance(keys[0], int):
            return find(node.value[keys[0]], keys[1:], of_class)
        items = [item for item in node.value if not of_class or _is_of(item, of_class)]
        return next((found for item in items if (found := find(item, keys, of_class)) is not None), None)
    if isinstance(node, yaml.ScalarNode) and list(keys) == ["class_path"]:
        return node  # data: IMDb
    if not isinstance(node, yaml.MappingNode) or not keys:
        return None
    # The last one counts: what a table merges into itself, by <<, comes first.
    for key, value in reversed(node.value):
        if isinstance(key, yaml.Node) and key.value in (keys[0], f"{keys[0]}+"):
            found = find(value, keys[1:], of_class) if keys[1:] else key
            if found is not None:
                return found
    options = next((value for key, value in node.value if key.value == "init_args"), None)
    return find(options, keys, of_class)


def find_text(node: yaml.Node | None, text: str) -> yaml.Node | None:
    """The first node that is this text; None where there is none."""
    if isinstance(node, yaml.ScalarNode):
        return node if node.value == text else None
    children = () if node is None else _children(node)
    return next((found for child in children if (found := find_text(child, text)) is not None), None)


def _is_of(item: yaml.Node, name: str) -> bool:
    pairs = item.value if isinstance(item, yaml.MappingNode) else []
    chosen = next((value.value for key, value in pairs if key.value == "class_path"), item.value)
    return isinstance(chosen, str) and chosen.rpartition(".")[2] == name.rpartition(".")[2]


def line(node: yaml.Node) -> int:
    """The line that a node begins in, counted from 1."""
    return int(node.start_mark.line) + 1


def _size(path: Path, node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for; on the way, each table is held to say nothing twice."""
    if id(node) not in sizes:
        sizes[id(node)] = _MOST + 1  # for an anchor that holds itself
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
        sizes[id(node)] = 1 + sum(_size(path, child, sizes) for child in _children(node))
    return sizes[id(node)]


def _check_keys(path: Path, table: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in table.value:
        if key.tag not in _NAMES:
            written = f"'{key.value}'" if isinstance(key, yaml.ScalarNode) else "a list or a table"
            raise UserError(f"{path}, line {line(key)}: {written} is not the name of a section or an option")
        if key.value in lines:
            raise UserError(
                f"{path}, line {line(key)}: '{key.value}' stands in line {lines[key.value]} already; remove one of them"
            )
        lines[key.value] = line(key)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
