"""From a parser's complaint to a line that names the mistake, the place and the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_args

from jsonargparse import ArgumentParser, Namespace

from rnn_lightning.cli import configs, imports
from rnn_lightning.cli.arguments import FIXED, arguments, classes, named
from rnn_lightning.cli.errors import UserError, shown
from rnn_lightning.cli.places import place, place_of_text
from rnn_lightning.cli.verbs import ALLOW_IMPORTS, PLUGINS
from rnn_lightning.registry import did_you_mean

_SEEDS = 2**32
"""Seeds that NumPy takes."""
_KINDS = {
    **{"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"},
    **{"dict": "a table", "list": "a list", "tuple": "a list"},
}


class ComplaintError(Exception):
    """What the parser says of a mistake.

    Attributes:
        config: the value of --config that it was reading; None: the command line itself.
    """

    config: str | None = None


class _Mistake(NamedTuple):
    """What is said of a mistake, the keys that lead to it, and the class that it is of, where there are several."""

    said: str
    keys: Sequence[str] = ()
    of_class: str = ""


def explain(complaint: ComplaintError, parser: ArgumentParser, options: list[str]) -> UserError:
    """The mistake in plain words.

    Args:
        complaint: what jsonargparse says, many lines at times.
        parser: where it was said.
        options: the command line, configs as paths.
    """
    read = []
    for pair in configs.pairs(options):
        read.append(pair)
        if complaint.config is not None and pair == ("--config", complaint.config):
            break  # what stands behind it has not been read yet
    if (name := imports.denied(str(complaint))) is not None:
        return _not_imported(name, str(complaint), read)
    mistake = _mistake(str(complaint), parser, read)
    return UserError(f"{place(mistake.keys, read, mistake.of_class)}{mistake.said}")


def check_values(config: Namespace, options: list[str]) -> None:
    """Refuses what the parser lets pass.

    Raises:
        UserError: there is null where a value is needed, or a seed that is none.
    """
    pairs = configs.pairs(options)
    for section in (*configs.CHOSEN, "checkpoint", "early_stopping"):
        chosen = config.get(section)
        owner = _class_of(section, pairs) if chosen is not None else None
        given = {} if owner is None else chosen.get("init_args", chosen)
        for name, option in {} if owner is None else arguments(owner).items():
            nullable = option.default is None or type(None) in (option.kind, *get_args(option.kind))
            if given.get(name, ...) is None and not nullable:
                raise UserError(f"{place((section, name), pairs)}{section}.{name} cannot be null")
    seed = config.get("seed_everything")
    if not isinstance(seed, bool) and isinstance(seed, int) and not 0 <= seed < _SEEDS:
        where = place(("seed_everything",), pairs)
        raise UserError(f"{where}seed_everything is {seed}; it must be at least 0 and below {_SEEDS}")


def _not_imported(name: str, complaint: str, pairs: list[configs.Pair]) -> UserError:
    keys = re.findall(r'Parser key "([^"]+)"', complaint)
    known = list(classes(keys[0])) if len(keys) == 1 else []
    where = f"{'.'.join(dict.fromkeys(keys))}: " if keys else ""
    package, _, last = name.rpartition(".")
    return UserError(
        f"{place_of_text(name, pairs)}{where}'{name}' is not imported, which would run its code: "
        f"a class may be of {imports.IN_WORDS}{did_you_mean(last, known)}\n"
        f"(if it is in a file of yours: {PLUGINS.flag} {package.partition('.')[0]}.py; "
        f"if you trust whoever named it: {ALLOW_IMPORTS.flag})"
    )


def _mistake(complaint: str, parser: ArgumentParser, pairs: list[configs.Pair]) -> _Mistake:
    keys = re.findall(r'Parser key "([^"]+)"', complaint)
    section = keys[0] if keys else ""
    if match := re.search(r"unrecognized arguments: (\S+)", complaint):
        return _Mistake(_unknown_option(match[1].partition("=")[0], parser, pairs))
    if "expected one argument" in complaint:
        return _Mistake(f"{_without_value(pairs)} wants a value")
    if re.search(r"Option 'sweep\b", complaint):
        return _Mistake("the section 'sweep' says what is searched, and is for rnn-lightning sweep alone", ("sweep",))
    if match := re.search(r"Group '(\w+)' does not accept option '([^']+)'", complaint):
        return _unknown_name(match[1], match[2], match[1], arguments(FIXED[match[1]]))
    if match := re.search(r"Option '([^']+)' is not accepted", complaint):
        owner = _class_of(section, pairs, match[1])
        if owner is None and section == "lr_scheduler":
            return _Mistake(
                f"there is no lr_scheduler that could take {match[1]}: name one, such as OneCycle", (section,)
            )
        known = [] if owner is None else list(arguments(owner))
        return _unknown_name(section, match[1], section if owner is None else owner.__name__, known)
    if match := re.search(r"arguments are required: (.+)", complaint):
        if not section:
            return _Mistake(f"{match[1]} cannot be null", (match[1],))
        given = _class_of(section, pairs)
        return _Mistake(
            f"{section}: {given.__name__ if given is not None else 'it'} needs {match[1]}", (section, "class_path")
        )
    if match := re.search(r"Problem with given class_path '([\w.]+)':\s+No module named '(\w+)", complaint):
        return _Mistake(
            f"{section}: there is no '{match[1]}': no package {match[2]} is installed; "
            f"if it is a file of yours, give --plugins {match[2]}.py",
            (*section.split("."), "class_path"),
            match[1],
        )
    known = list(classes(section)) if len(keys) == 1 else []
    if known and (name := _missing_class(complaint)):
        elsewhere = next((other for other in configs.CHOSEN if name in classes(other)), None)
        none = ["null"] if section == "lr_scheduler" else []  # the one of them that a training can do without
        near = did_you_mean(name.rpartition(".")[2], [*known, *none]) or f"; there are {', '.join(known)}"
        hint = f"; it belongs into the section '{elsewhere}'" if elsewhere else near
        return _Mistake(f"{section}: there is no '{name}'{hint}", (*section.split("."), "class_path"), name)
    return _wrong_value(complaint, ".".join(keys))


def _unknown_name(section: str, option: str, owner: str, known: Iterable[str]) -> _Mistake:
    name = option.partition(".")[0]
    near = did_you_mean(name, [*known, *(("class_path", "init_args") if section in configs.CHOSEN else ())])
    has = near or (f"; it has {', '.join(known)}" if known else "")
    return _Mistake(f"{owner} has no option '{name}'{has}", (*section.split("."), name), owner)


def _missing_class(complaint: str) -> str:
    """The name of a class that is not there, or not of the kind that is wanted."""
    if match := re.search(r"Expected a dot import path string: (\S+)|Problem with given class_path '(.+)'", complaint):
        return match[1] or match[2]
    match = re.search(r"Given value: (?:.*'class_path': ')?([\w.]+)", complaint)
    return match[1] if match and "does not correspond to a subclass" in complaint else ""


def _without_value(pairs: list[configs.Pair]) -> str:
    return next(flag for flag, value in pairs if value is None and flag.startswith("--"))


def _unknown_option(flag: str, parser: ArgumentParser, pairs: list[configs.Pair]) -> str:
    if not flag.startswith("-"):
        return f"'{flag}' belongs to no option"
    own = [action.dest for action in parser._actions if action.dest not in ("help", "==SUPPRESS==")]
    owners = {section: _class_of(section, pairs) for section in own}
    chosen = [f"{section}.{name}" for section, owner in owners.items() if owner for name in arguments(owner)]
    known = [PLUGINS.flag, ALLOW_IMPORTS.flag, *(f"--{name}" for name in (*own, *chosen))]
    # The name alone, its section forgotten: --hidden_size.
    whole = [name for name in known if name.endswith(f".{flag.lstrip('-')}")]
    return f"there is no option {flag}{did_you_mean(flag, whole or known)}"


def _wrong_value(complaint: str, key: str) -> _Mistake:
    """A value of the wrong kind, or whatever else the parser says, in its own first words."""
    if key == "trainer.trainer":
        return _Mistake("--trainer takes no value: it has options, such as --trainer.max_epochs 3")
    if not key:
        return _Mistake(complaint.partition("\n")[0].strip())
    given = re.search(r"Got value: (.*)", complaint) or re.search(r"Given value: (.*)", complaint)
    value = "null" if given is None or given[1] == "None" else given[1]
    keys = key.split(".")
    if key in (*configs.CHOSEN, *FIXED):
        wants = "the options of its class" if key in FIXED else f"a class, such as {next(iter(classes(key)))}"
        return _Mistake(f"{key} wants {wants}, not '{shown(value)}'", keys)
    if literals := re.findall(r"typing\.Literal\[(.*?)\]", complaint):
        allowed = list(dict.fromkeys(word.strip("'") for literal in literals for word in literal.split(", ")))
        return _Mistake(
            f"{key} is '{shown(value)}', not one of {', '.join(allowed)}{did_you_mean(value, allowed)}", keys
        )
    if match := re.search(r"Expected a tuple with (\d+) elements", complaint):
        return _Mistake(f"{key} wants a list of {match[1]} values, not '{shown(value)}'", keys)
    kinds_wanted = re.findall(r"Expected (?:a )?<class '(\w+)'>", complaint.rpartition("Parser key")[2])
    kinds = [_KINDS[kind] for kind in dict.fromkeys(kinds_wanted) if kind in _KINDS]
    return _Mistake(
        f"{key} wants {' or '.join(kinds)}, not '{shown(value)}'" if kinds else f"{key} cannot be '{shown(value)}'",
        keys,
    )


def _class_of(section: str, pairs: list[configs.Pair], without: str = "") -> type[Any] | None:
    """The class that a section has chosen in the end; None where it is not one that we know.

    Args:
        section: which one; trainer.callbacks is a list.
        pairs: the command line.
        without: where it is a list, the class that has no such option.
    """
    if section in FIXED:
        return FIXED[section]
    chosen: list[type[Any]] = []
    for flag, value in pairs:
        if flag in (f"--{section}", f"--{section}.class_path"):
            names: Any = value
        elif flag == "--config" and value is not None:
            names = configs.value_at(configs.read(configs.origin(value)), section.split("."))
        else:
            continue
        for item in names if isinstance(names, list) else [names]:
            name = item.get("class_path") if isinstance(item, dict) else item
            if isinstance(name, str) and (found := named(section, name)) is not None:
                chosen.append(found)
    if section in configs.CHOSEN:
        return chosen[-1] if chosen else None
    return next((found for found in reversed(chosen) if without not in arguments(found)), None)
