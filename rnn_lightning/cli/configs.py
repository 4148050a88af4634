"""Finding configs by their names. Nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean

_FLAGS = ("-c", "--config")
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
)
"""What a config can hold."""


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
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise UserError(f"{path}{line}: this is not YAML ({getattr(error, 'problem', None) or error})") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a config: it has no sections such as 'model:' or 'data:'")
    for section, value in content.items():
        if section not in SECTIONS:
            raise UserError(f"{path}: there is no section '{section}'{did_you_mean(str(section), list(SECTIONS))}")
        if section == "trainer" and not isinstance(value, dict):
            raise UserError(f"{path}: the section 'trainer' wants options, such as max_epochs: 3, not '{value}'")
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


def written_out(content: dict[str, Any], sections: Iterable[str]) -> str:
    """These sections of a config as an option that holds them itself, not the path of a file."""
    return f"--config={json.dumps({section: content[section] for section in sections if section in content})}"


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
        if flag not in _FLAGS:
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


def pairs(options: list[str]) -> list[tuple[str, str | None]]:
    """Command-line words as (flag, value); the value is None where a word stands alone.

    Both `--flag value` and `--flag=value` are one pair. A value may begin with one dash, as negative numbers do.
    """
    found: list[tuple[str, str | None]] = []
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
