"""Every mistake that a slip of the finger makes in a config: in one key, one value or one class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from rnn_lightning import registry
from rnn_lightning.cli import configs, sweep_space
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.errors import report

NAMES = ("class_path", "cell", "pooling", "truncate", "mode", "init")
"""Options whose value is one of a few names."""
CLASSES = ("model", "data", "optimizer", "lr_scheduler")


class Mutation(NamedTuple):
    """A config with one mistake in it.

    Attributes:
        name: of the config.
        path: the keys that lead to the mistake.
        text: the config.
        line: where the mistake stands.
        wrong: what it is.
        right: the name that was meant; None where there was none.
    """

    name: str
    path: str
    text: str
    line: int
    wrong: str
    right: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.path} {self.wrong}"


def typos(word: str, place: int) -> list[str]:
    """A letter left out, two letters swapped, a letter doubled, near this place."""
    at = place % (len(word) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    found = [word[:at] + word[at + 1 :], swapped, word[: at + 1] + word[at:]]
    return [typo for typo in found if typo != word]


def mutations(name: str) -> list[Mutation]:
    """All of one shipped config."""
    text = (configs.folder() / name).read_text("utf-8")
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    return list(_in_table(name, text, root, ()))


def refused(*options: str) -> int:
    """The exit code of `fit`, or `sweep`, up to where the data would be read; what it says is printed."""
    try:
        words = configs.expand(list(options))
        paths = [configs.origin(value) for flag, value in configs.pairs(words) if flag == "--config" and value]
        if "sweep" in configs.merged(paths):
            sweep_space.check(sweep_space.read(words), sweep_space.without_section(words))
        else:
            FitCommand("fit", ["--config", str(configs.base()), *words])
    except Exception as error:
        return report(error)
    return 0


def _in_table(name: str, text: str, table: yaml.MappingNode, above: tuple[str, ...]) -> Iterator[Mutation]:
    for key, value in table.value:
        keys = (*above, key.value)

        def made(node: yaml.Node, wrong: str, right: str | None, at: Any = (keys, key.start_mark.line + 1)) -> Mutation:
            mutated = text[: node.start_mark.index] + wrong + text[node.end_mark.index :]
            return Mutation(name, ".".join(at[0]), mutated, at[1], wrong, right)

        word = key.value.removesuffix("+")
        for typo in typos(word, len(text) + key.start_mark.index):
            yield made(key, typo + key.value[len(word) :], word)
        if isinstance(value, yaml.ScalarNode):
            if key.value in NAMES or (not above and key.value in CLASSES):
                for typo in typos(value.value, len(text)):
                    if not _could_be_another_cell(typo, value.value):
                        yield made(value, typo, value.value)
            yield made(value, "[1, x]" if value.tag.endswith(("str", "null")) else "many", None)
        else:
            # The end of a table in block style is the beginning of what follows it.
            if value.flow_style:
                yield made(value, "many", None)
            for item in [value] if isinstance(value, yaml.MappingNode) else value.value:
                if isinstance(item, yaml.MappingNode):
                    yield from _in_table(name, text, item, keys)


def _could_be_another_cell(typo: str, cell: str) -> bool:
    """Whether another layer's name is as near: ru is sru as well as gru."""
    others = [name for name in registry.names("layers") if name != cell]
    return any(typo in typos(name, place) for name in others for place in range(len(name)))
