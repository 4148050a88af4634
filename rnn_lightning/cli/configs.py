"""Finding configs by their names. Nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rnn_lightning.cli import marked
from rnn_lightning.cli.errors import UserError, shown
from rnn_lightning.registry import did_you_mean

FLAGS = ("-c", "--config")
SECTIONS = (
    "seed_everything",
    "model",
    "data",
    "optimizer",
    "lr_scheduler",
    "trainer",
    "checkpoint",
    "early_stopping",
    "ckpt_path",
    "sweep",
)
"""What a config can hold."""
CHOSEN = ("model", "data", "optimizer", "lr_scheduler")
"""The sections that choose a class."""
PARTS = ("callbacks", "logger")
"""Options of the Trainer that are objects, each of a class that is chosen."""
_FRAME = {"class_path", "init_args", "dict_kwargs"}
"""What stands around a class; the last holds what its **kwargs take."""

Pair = tuple[str, str | None]
"""A flag and its value."""


def folder() -> Path:
    """The shipped configs: inside the installed package, or beside it in an editable installation."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def base() -> Path:
    """What lies under every command: the shipped one, whatever stands in the working directory."""
    return folder() / "base.yaml"


def shipped() -> list[str]:
    """Names of the shipped configs, such as lstm.yaml."""
    return sorted(path.relative_to(folder()).as_posix() for path in folder().rglob("*.yaml"))


def resolve(name: str) -> Path:
    """The file that a config's name stands for: one in the working directory, else a shipped one.

    Raises:
        UserError: there is none.
    """
    for candidate in (Path(name), folder() / name, folder() / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    known = [*shipped(), *(path.name for path in Path().glob("*.yaml"))]
    near = did_you_mean(name, known) or did_you_mean(f"{name}.yaml", known)
    raise UserError(f"no config '{name}' here or among the shipped ones{near}   (rnn-lightning list configs)")


def read(path: Path) -> dict[str, Any]:
    """The content of a config.

    Raises:
        UserError: it is not YAML, or not a table of known sections.
    """
    content, root = marked.read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a config: it has no sections such as 'model:' or 'data:'")
    for section, value in content.items():
        mistake = _section_mistake(section, value)
        if mistake is not None:
            keys, said = mistake
            node = marked.find(root, keys)
            raise UserError(f"{path}, line {marked.line(node)}: {said}" if node is not None else f"{path}: {said}")
    return content


def merged(paths: Iterable[Path]) -> dict[str, Any]:
    """What configs say together: later ones over earlier ones, key by key, but a new class begins without arguments."""
    found: dict[str, Any] = {}
    for path in paths:
        found = _over(found, read(path))
    return found


def _over(under: Any, over: Any) -> Any:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    other_class = "class_path" in under and over.get("class_path", under["class_path"]) != under["class_path"]
    kept = {} if other_class else under
    return {**kept, **{key: _over(kept.get(key), value) for key, value in over.items()}}


def value_at(content: Any, keys: Sequence[str]) -> Any:
    """What these keys lead to, one under the other; None where they do not stand there."""
    for key in keys:
        content = content.get(key, content.get(f"{key}+")) if isinstance(content, dict) else None
    return content


def _section_mistake(section: Any, value: Any) -> tuple[marked.Keys, str] | None:
    """What is wrong with the frame of a section, and where: the options in it are left to the parser."""
    where = (str(section),)
    if section not in SECTIONS:
        return where, f"there is no section '{section}'{did_you_mean(str(section), list(SECTIONS))}"
    if section == "trainer" and not isinstance(value, dict):
        return where, f"the section 'trainer' wants options, such as max_epochs: 3, not '{shown(value)}'"
    if section in ("model", "data") and value is None:
        return where, f"{section} cannot be null"
    chosen: list[tuple[marked.Keys, Any]] = [(where, value)] if section in CHOSEN else []
    for part in PARTS if section == "trainer" else ():
        found = value_at(value, [part])
        items = enumerate(found) if isinstance(found, list) else ()
        chosen += [((section, part, number), item) for number, item in items] or [((section, part), found)]
    return next((mistake for keys, item in chosen if (mistake := _frame_mistake(keys, item)) is not None), None)


def _frame_mistake(keys: marked.Keys, chosen: Any) -> tuple[marked.Keys, str] | None:
    """What is wrong around a class and its options."""
    # A task or data set may be given by options alone, which the parser then looks at.
    if not isinstance(chosen, dict) or (len(keys) == 1 and _FRAME.isdisjoint(chosen)):
        return None
    name = ".".join(key for key in keys if isinstance(key, str))
    for key in chosen:
        if key not in _FRAME:
            near = did_you_mean(str(key), sorted(_FRAME)) or "; options stand under init_args"
            return (*keys, str(key)), f"{name} has no '{key}' beside class_path and init_args{near}"
    for key, kind, words in (("class_path", str, "the name of a class"), ("init_args", dict, "a table of options")):
        if key in chosen and not isinstance(chosen[key], kind):
            return (*keys, key), f"{name}.{key} wants {words}, not '{shown(chosen[key])}'"
    return None


def written_out(path: Path, sections: Iterable[str]) -> str:
    """These sections of a config as an option that holds them itself, below a comment with the path of the file."""
    content = read(path)
    kept = {section: content[section] for section in sections if section in content}
    return f"--config=# {json.dumps(str(path))}\n{json.dumps(kept, default=str)}"


def origin(config: str) -> Path:
    """The file that the value of --config stands for: itself, unless it is `written_out`."""
    comment, _, _ = config.partition("\n")
    return Path(json.loads(comment.removeprefix("# "))) if config.startswith('# "') else Path(config)


def expand(options: list[str]) -> list[str]:
    """The options of a command line with each config's name replaced by its path.

    A preset lies over architecture and task, in whatever order they are named: those behind it are put before it.

    Raises:
        UserError: a config does not exist.
    """
    expanded: list[str] = []
    words, preset = list(options), None
    while words:
        word = words.pop(0)
        flag, equals, name = word.partition("=")
        if flag not in FLAGS:
            expanded.append(word)
            continue
        if not equals and (not words or words[0].startswith("--")):
            raise UserError("--config wants the name of a config, such as lstm.yaml")
        path = resolve(name if equals else words.pop(0))
        read(path)
        if path.parent == folder() / "presets":
            preset = len(expanded) if preset is None else preset
        elif preset is not None:
            expanded.insert(preset, f"--config={path}")
            preset += 1
            continue
        expanded.append(f"--config={path}")
    return expanded


def pairs(options: list[str]) -> list[Pair]:
    """Command-line words as (flag, value); the value is None where a word stands alone.

    Both `--flag value` and `--flag=value` are one pair. A value may begin with one dash, as negative numbers do.
    """
    found: list[Pair] = []
    words = list(options)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            found.append((word, None))
        elif "=" in word:
            flag, _, value = word.partition("=")
            found.append((flag, value))
        elif words and not words[0].startswith("--"):
            found.append((word, words.pop(0)))
        else:
            found.append((word, None))
    return found


def text(flag: str, value: str | None) -> str:
    """The value of a flag, which may be any text.

    Raises:
        UserError: there is none, or it is not UTF-8.
    """
    if value is None:
        raise UserError(f"{flag} wants a value")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{flag} is not UTF-8 text") from error
    return value
