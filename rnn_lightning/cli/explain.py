"""From a parser's complaint to a line that names the mistake, the place and the nearest valid name."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch.optim
from jsonargparse import ArgumentParser, Namespace

from rnn_lightning import registry
from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping
from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean
from rnn_lightning.tasks.schedule import OneCycle

_FIXED = {"checkpoint": Checkpoint, "early_stopping": EarlyStopping}
"""Sections whose class is not chosen."""
_SEEDS = 2**32
"""Seeds that NumPy takes."""
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "dict": "a table"}


def explain(complaint: str, parser: ArgumentParser, options: list[str]) -> UserError:
    """The mistake in plain words.

    Args:
        complaint: what jsonargparse says, many lines at times.
        parser: where it was said.
        options: the command line, configs as paths.
    """
    keys = re.findall(r'Parser key "([^"]+)"', complaint)
    section = keys[0] if keys else ""
    if match := re.search(r"unrecognized arguments: (\S+)", complaint):
        return UserError(_unknown_option(match[1].partition("=")[0], parser, options))
    if "expected one argument" in complaint:
        return UserError(f"{_without_value(options)} wants a value")
    if match := re.search(r"Group '(\w+)' does not accept option '([\w.]+)'", complaint):
        known = [dest.partition(".")[2] for dest in _destinations(parser) if dest.startswith(f"{match[1]}.")]
        return UserError(
            f"{_place(match[2], options)}{match[1]} has no option '{match[2]}'{did_you_mean(match[2], known)}"
        )
    if match := re.search(r"Option '([\w.]+)' is not accepted", complaint):
        owner = _class_of(section, options)
        known = _parameters(owner)
        name = owner.__name__ if owner is not None else section
        has = did_you_mean(match[1], known) or (f"; it has {', '.join(known)}" if known else "")
        return UserError(f"{_place(match[1], options)}{name} has no option '{match[1]}'{has}")
    if match := re.search(r"arguments are required: (.+)", complaint):
        if not section:
            return UserError(f"{match[1]} cannot be null")
        given = _class_of(section, options)
        return UserError(f"{section}: {given.__name__ if given is not None else 'it'} needs {match[1]}")
    classes = list(_classes(section)) if len(keys) == 1 else []
    if classes and (match := re.search(r"Expected a dot import path string: (\S+)", complaint)):
        near = did_you_mean(match[1], classes) or f"; there are {', '.join(classes)}"
        return UserError(f"{_place(match[1], options)}{section}: there is no '{match[1]}'{near}")
    return UserError(_wrong_value(complaint, ".".join(keys), options))


def check_values(config: Namespace, options: list[str]) -> None:
    """Refuses what the parser lets pass.

    Raises:
        UserError: there is null where a value is needed, or a seed that is none.
    """
    for section in ("model", "data"):
        chosen = config.get(section)
        owner = _class_of(section, options) if chosen is not None else None
        hints = {} if owner is None else get_type_hints(owner.__init__)
        for name, hint in hints.items():
            if chosen.init_args.get(name, ...) is None and type(None) not in (hint, *get_args(hint)):
                raise UserError(f"{_place(name, options)}{section}.{name} cannot be null")
    seed = config.get("seed_everything")
    if not isinstance(seed, bool) and isinstance(seed, int) and not 0 <= seed < _SEEDS:
        raise UserError(f"seed_everything is {seed}; it must be at least 0 and below {_SEEDS}")


def _without_value(options: list[str]) -> str:
    return next(flag for flag, value in configs.pairs(options) if value is None and flag.startswith("--"))


def _unknown_option(flag: str, parser: ArgumentParser, options: list[str]) -> str:
    if not flag.startswith("-"):
        return f"'{flag}' belongs to no option"
    own = _destinations(parser)
    chosen = [f"{section}.{name}" for section in own for name in _parameters(_class_of(section, options))]
    known = [f"--{name}" for name in (*own, *chosen)]
    # The name alone, its section forgotten: --hidden_size.
    whole = [name for name in known if name.endswith(f".{flag.lstrip('-')}")]
    return f"there is no option {flag}{did_you_mean(flag, whole or known)}"


def _wrong_value(complaint: str, key: str, options: list[str]) -> str:
    """A value of the wrong kind, or whatever else the parser says, in its own first words."""
    if key == "trainer.trainer":
        return "--trainer takes no value: it has options, such as --trainer.max_epochs 3"
    if not key:
        return complaint.partition("\n")[0].strip()
    given = re.search(r"Got value: (.*)", complaint) or re.search(r"Given value: (.*)", complaint)
    value = given[1] if given else ""
    subject = f"{_place(key.rpartition('.')[2], options)}{key}"
    if literals := re.findall(r"typing\.Literal\[(.*?)\]", complaint):
        allowed = list(dict.fromkeys(word.strip("'") for literal in literals for word in literal.split(", ")))
        return f"{subject} is '{value}', not one of {', '.join(allowed)}{did_you_mean(value, allowed)}"
    named = re.findall(r"Expected (?:a )?<class '(\w+)'>", complaint.rpartition("Parser key")[2])
    kinds = [_KINDS[kind] for kind in dict.fromkeys(named) if kind in _KINDS]
    return f"{subject} wants {' or '.join(kinds)}, not '{value}'" if kinds else f"{subject} cannot be '{value}'"


def _place(word: str, options: list[str]) -> str:
    """The config and line where a word stands, if it was not given on the command line itself."""
    pairs = configs.pairs(options)
    if any(
        re.search(rf"(^|\W){re.escape(word)}($|\W)", f"{flag} {value}") for flag, value in pairs if flag != "--config"
    ):
        return ""
    for flag, value in reversed(pairs):
        if flag == "--config" and value is not None and not _is_written_out(value):
            for number, line in enumerate(Path(value).read_text("utf-8").splitlines(), 1):
                if re.search(rf"(^|\W){re.escape(word)}($|\W)", line.partition("#")[0]):
                    return f"{value}, line {number}: "
    return ""


def _is_written_out(config: str) -> bool:
    """Whether a config is not a path but its own content, as the verbs pass on what they took from one."""
    return config.startswith("{")


def _destinations(parser: ArgumentParser) -> list[str]:
    return [action.dest for action in parser._actions if action.dest not in ("help", "==SUPPRESS==")]


def _class_of(section: str, options: list[str]) -> type[Any] | None:
    """The class that a section has chosen in the end; None where it is not one that we know."""
    if section in _FIXED:
        return _FIXED[section]
    name = ""
    for flag, value in configs.pairs(options):
        if flag in (f"--{section}", f"--{section}.class_path"):
            name = value or name
        elif flag == "--config" and value is not None:
            content = (json.loads(value) if _is_written_out(value) else configs.read(Path(value))).get(section)
            chosen = content.get("class_path") if isinstance(content, dict) else content
            name = chosen if isinstance(chosen, str) else name
    return _classes(section).get(name.rpartition(".")[2])


def _classes(section: str) -> dict[str, type[Any]]:
    """What a section can choose from, by short name."""
    if section == "model":
        return {name: registry.resolve("tasks", name) for name in registry.names("tasks")}
    if section == "data":
        return {name: registry.resolve("data", name) for name in registry.names("data")}
    if section == "optimizer":
        return _subclasses(torch.optim, torch.optim.Optimizer)
    if section == "lr_scheduler":
        return {"OneCycle": OneCycle, **_subclasses(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler)}
    return {}


def _subclasses(module: Any, base: type[Any]) -> dict[str, type[Any]]:
    found = {
        name: thing for name, thing in vars(module).items() if isinstance(thing, type) and not name.startswith("_")
    }
    return {name: thing for name, thing in found.items() if issubclass(thing, base) and thing is not base}


def _parameters(owner: type[Any] | None) -> list[str]:
    names = [] if owner is None else list(inspect.signature(owner).parameters)
    return [name for name in names if name not in ("params", "optimizer")]
