"""Where on the command line, or in which line of which config, a thing was said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jsonargparse import Namespace

from rnn_lightning.cli import configs, marked
from rnn_lightning.cli.errors import UserError, mistake_in

_FRAME = ("class_path", "init_args")


def place(keys: Sequence[str], pairs: list[configs.Pair], of_class: str = "") -> str:
    """The config and line that decided a value, as "mine.yaml, line 3: ".

    Args:
        keys: what leads to it, such as (model, hidden_size).
        pairs: the command line.
        of_class: in a list, only an item of this class is meant.

    Returns:
        The place; nothing where an option of the command line decided it, or nobody.
    """
    for flag, value in reversed(pairs):
        if flag == "--config" and value is not None:
            path = configs.origin(value)
            node = marked.find(marked.read(path).root, keys, of_class)
            if node is not None:
                return f"{path}, line {marked.line(node)}: "
        elif _decides(flag, keys):
            return ""
    return ""


def place_of_text(text: str, pairs: list[configs.Pair]) -> str:
    """The last config and line that this stands in, as `place` says it; nothing where it stands in none."""
    for flag, value in reversed(pairs):
        if flag == "--config" and value is not None:
            path = configs.origin(value)
            node = marked.find_text(marked.read(path).root, text)
            if node is not None:
                return f"{path}, line {marked.line(node)}: "
    return ""


@contextmanager
def placed(config: Namespace, options: list[str]) -> Iterator[None]:
    """Says of a mistake in a value of a config where the value stands.

    Args:
        config: the parsed command line.
        options: the command line, configs as paths.
    """
    try:
        yield
    except Exception as error:
        mistake = mistake_in(error)
        if not isinstance(mistake, ValueError) and type(mistake) is not UserError:
            raise
        where = place(_meant(str(mistake), config.as_dict()), configs.pairs(options))
        if not where:
            raise
        raise UserError(f"{where}{mistake}") from error


def _decides(flag: str, keys: Sequence[str]) -> bool:
    """Whether an option decides the value that these keys lead to: --data does not, for an option of the data."""
    named = [part for part in flag.removeprefix("--").rstrip("+").split(".") if part not in _FRAME]
    asked = [key for key in keys if key not in _FRAME]
    return named == asked[: len(named)] and (len(named) > 1 or len(asked) == 1)


class _Value(NamedTuple):
    keys: tuple[str, ...]
    value: Any

    def is_written(self, text: str) -> bool:
        return str(self.value).lower() == text.strip("'").lower()


def _meant(said: str, config: dict[str, Any]) -> tuple[str, ...]:
    """The keys of the value that a mistake's text speaks of; () where that is not certain."""
    values = list(_values(config))
    if match := re.match(r"([^;,:']+) is ([^;,]+)", said):
        subject, written = match[1].rpartition(".")[2], match[2]
        same = [value for value in values if value.is_written(written)]
        by_name = [value for value in same if value.keys[-1] == subject]
        if by_name or len(same) == 1:
            return (by_name or same)[0].keys
    if match := re.match(r"(\w+): .*: (\S+)$", said):  # optimizer: Invalid learning rate: -1.0
        same = [value for value in values if value.keys[0] == match[1] and value.is_written(match[2])]
        if len(same) == 1:
            return same[0].keys
    quoted = re.findall(r"['`](.+?)['`]", said.partition(";")[0])
    for word in quoted:
        if found := next((value.keys for value in values if value.keys[-1] == word), None):
            return found
    for word in quoted:
        if found := next((value.keys for value in values if value.value == word), None):
            return found
    return next((v.keys for v in values if isinstance(v.value, str) and "." in v.value and v.value in said), ())


def _values(content: dict[str, Any], keys: tuple[str, ...] = ()) -> Iterator[_Value]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _values(value, (*keys, key))
        elif key != "class_path" and value is not None:
            yield _Value((*keys, key), value)
