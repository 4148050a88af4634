"""`rnn-lightning schema`: what a config may hold, as a JSON schema, by which an editor completes and underlines."""

from __future__ import annotations

import collections.abc
import json
import os
import types
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from torch import Tensor

from rnn_lightning import registry
from rnn_lightning.cli import configs, sweep_space
from rnn_lightning.cli.arguments import FIXED, Argument, arguments, classes
from rnn_lightning.cli.words import refuse_names, taken

Schema = dict[str, Any]

_PLAIN: dict[Any, str] = {
    **{bool: "boolean", int: "integer", float: "number", str: "string", Path: "string", os.PathLike: "string"},
    **{type(None): "null", dict: "object"},
}
_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence)
_SAID = ("description", "default")
_OTHERWISE = (Tensor, timedelta)
"""Types of values that are written in another way: a learning rate that is a tensor is a number all the same."""


def schema(options: list[str]) -> int:
    """Prints the schema.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    refuse_names("schema", taken("schema", options))
    print(json.dumps(of_configs(), indent=1))
    return 0


def of_configs() -> Schema:
    """The schema of configs, installed packages' tasks, data and layers included."""
    sections: dict[str, Schema] = {section: _chosen(section) for section in configs.CHOSEN}
    sections["lr_scheduler"] = {"anyOf": [sections["lr_scheduler"], {"type": "null"}]}
    sections["trainer"] = _options(arguments(FIXED["trainer"]), "trainer")
    for section in ("checkpoint", "early_stopping"):
        sections[section] = {"anyOf": [_options(arguments(FIXED[section])), {"type": "null"}]}
    sections["seed_everything"] = {
        "description": "makes a training repeatable",
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "boolean"}],
    }
    sections["ckpt_path"] = {"description": "checkpoint of a run that is to go on", "type": ["string", "null"]}
    sections["sweep"] = _sweep()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A config of rnn-lightning",
        **_table({section: sections[section] for section in configs.SECTIONS}),
        "definitions": {part: _chosen(f"trainer.{part}") for part in configs.PARTS},
    }


def _sweep() -> Schema:
    """What is searched, and how."""
    number = {"type": "number"}
    ends = _table({"low": number, "high": number, "step": number, "log": {"type": "boolean"}})
    values = {"anyOf": [{"type": "array", "minItems": 1}, {**ends, "required": ["low", "high"]}]}
    space = {
        **_table(dict.fromkeys(sweep_space.names(), values)),
        "patternProperties": {r"\..+\.": values},  # options of options, such as those of a layer
        "minProperties": 1,
    }
    words = {name: {"enum": list(known)} for name, known in sweep_space.WORDS.items()}
    counts = {name: {"type": "integer", "minimum": lowest} for name, lowest in sweep_space.LOWEST.items()}
    kinds: dict[str, Schema] = {"space": space, "metric": {"type": "string"}, **words, **counts}
    options = arguments(sweep_space.Sweep)
    return _table({name: {"description": options[name].what, **kinds[name]} for name in sweep_space.KEYS})


def _chosen(section: str) -> Schema:
    """A class by its name, or by class_path with options under init_args; without a class, options of any of them."""
    known = classes(section)
    of_class = {name: _options(arguments(owner)) for name, owner in known.items()}
    together: dict[str, list[Schema]] = {}
    for options in of_class.values():
        for name, option in options["properties"].items():
            together.setdefault(name, []).append({key: option[key] for key in option if key not in _SAID})
    any_class = _table({name: _any_of(kinds) for name, kinds in together.items()})
    cases = [
        {"if": _has_class(_called(name, known[name])), "then": {"properties": {"init_args": options}}}
        for name, options in of_class.items()
    ]
    without = {"if": {"not": _has_class({})}, "then": {"properties": {"init_args": any_class}}}
    names = {"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": r"\."}]}
    table = _table({"class_path": names, "init_args": {"type": "object"}, "dict_kwargs": {"type": "object"}})
    return {"anyOf": [names, {**table, "allOf": [*cases, without]}]}


def _table(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _called(name: str, owner: type[Any]) -> Schema:
    """A class by its short name, or by a path in its own package."""
    package = owner.__module__.partition(".")[0]
    return {"pattern": rf"^({package}\.(.*\.)?)?{name}$"}


def _has_class(name: Schema) -> Schema:
    return {"properties": {"class_path": name}, "required": ["class_path"]}


def _options(known: dict[str, Argument], section: str = "") -> Schema:
    """A table of options. Those that are lists can be added to, by a plus sign after the name."""
    properties: dict[str, Schema] = {}
    for name, option in known.items():
        properties[name] = _option(name, option, section)
        if _takes_a_list(option.kind):
            properties[f"{name}+"] = properties[name]
    return _table(properties)


def _option(name: str, option: Argument, section: str) -> Schema:
    if name == "cell":
        kind: Schema = {"enum": registry.names("layers")}
    elif name == "cell_options":
        kind = _any_of([_cell_options(), {"type": "null"}])
    elif classes(f"{section}.{name}"):
        one = {"$ref": f"#/definitions/{name}"}
        kind = {"anyOf": [one, {"type": "array", "items": one}, {"type": ["boolean", "null"]}]}
    else:
        kind = _kind(option.kind)
        if option.default is None and kind:
            kind = _any_of([kind, {"type": "null"}])
    described = {"description": option.what, **kind} if option.what else kind
    plain = isinstance(option.default, bool | int | float | str | list)
    return {**described, "default": option.default} if plain else described


def _cell_options() -> Schema:
    """The options of all layers."""
    layers = [arguments(registry.resolve("layers", name)) for name in registry.names("layers")]
    known = {name: option for options in layers for name, option in options.items()}
    return _options({name: known[name] for name in known if name not in ("input_size", "hidden_size")})


def _kind(hint: Any) -> Schema:
    """What a type takes; {} takes anything."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return _any_of([_kind(kind) for kind in inner if kind not in _OTHERWISE])
    if origin is tuple and Ellipsis not in inner:
        return {"type": "array", "items": _any_of([_kind(kind) for kind in inner]), **_length(len(inner))}
    if hint in _LISTS or origin in _LISTS:
        return {"type": "array", **({"items": _kind(inner[0])} if inner else {})}
    found = _PLAIN.get(origin or hint)
    if found:
        return {"type": found}
    return {"type": ["object", "string"]} if isinstance(hint, type) else {}  # an object, by its class


def values(hint: Any) -> list[str]:
    """The words that a type takes, where they are few."""
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if hint is bool:
        return ["true", "false"]
    inner = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()
    return list(dict.fromkeys(word for kind in inner for word in values(kind)))


def _length(length: int) -> Schema:
    return {"minItems": length, "maxItems": length}


def _takes_a_list(hint: Any) -> bool:
    return any((get_origin(kind) or kind) in _LISTS for kind in (hint, *get_args(hint)))


def _any_of(kinds: list[Schema]) -> Schema:
    """One schema for several, each once; {} as soon as one of them takes anything."""
    once: list[Schema] = []
    for kind in kinds:
        once += [part for part in kind.get("anyOf", [kind]) if part not in once]
    if {} in once or not once:
        return {}
    return once[0] if len(once) == 1 else {"anyOf": once}
