"""What the sections of a config hold: their classes, and the options of a class, with kinds, defaults and meanings."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch.optim
from jsonargparse import ArgumentParser
from lightning.pytorch import cli as lightning_cli
from lightning.pytorch.loggers import Logger

from rnn_lightning import callbacks, registry
from rnn_lightning.callbacks.habits import Checkpoint, EarlyStopping
from rnn_lightning.cli import imports
from rnn_lightning.tasks.schedule import OneCycle

FIXED: dict[str, type[Any]] = {"trainer": pl.Trainer, "checkpoint": Checkpoint, "early_stopping": EarlyStopping}
"""Sections whose class is not chosen."""
_GIVEN = {"params", "optimizer"}
"""What an optimiser and a schedule get from the training."""


class Argument(NamedTuple):
    """An option of a class."""

    kind: Any
    default: Any
    required: bool
    what: str


_READ: dict[type[Any], dict[str, Argument]] = {}
"""The options of the classes that were asked for."""


def arguments(owner: type[Any]) -> dict[str, Argument]:
    """The options of a class, those included that it hands on to its parents."""
    if owner not in _READ:
        _READ[owner] = _read(owner)
    return _READ[owner]


def _read(owner: type[Any]) -> dict[str, Argument]:
    parser = ArgumentParser()
    skip = _GIVEN & set(inspect.signature(owner).parameters)
    parser.add_class_arguments(owner, "of", fail_untyped=False, instantiate=False, skip=skip)
    options = {action.dest.removeprefix("of."): action for action in parser._actions if action.dest.startswith("of.")}
    return {
        name: Argument(
            getattr(option, "_typehint", option.type), option.default, option.required, (option.help or "").strip()
        )
        for name, option in options.items()
        if not name.endswith(".help")
    }


def classes(section: str) -> dict[str, type[Any]]:
    """What a section, or an option of the Trainer, can choose from, by short name; {} where there is no choice."""
    if section in ("model", "data"):
        group: registry.Group = "tasks" if section == "model" else "data"
        return {name: registry.resolve(group, name) for name in registry.names(group)}
    if section == "optimizer":
        return _inside(torch.optim, torch.optim.Optimizer)
    if section == "lr_scheduler":
        found = _inside(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler)
        return {"OneCycle": OneCycle, **found, "ReduceLROnPlateau": lightning_cli.ReduceLROnPlateau}
    if section == "trainer.callbacks":
        return {**_inside(pl.callbacks, pl.Callback), **_inside(callbacks, pl.Callback)}
    if section == "trainer.logger":
        return _inside(pl.loggers, Logger)
    return {}


def named(section: str, name: str) -> type[Any] | None:
    """The class that a section calls by a short name or by its whole path; None where it is not one that we find."""
    module, _, last = name.rpartition(".")
    if not module:
        return classes(section).get(name)
    if not imports.is_allowed(name):
        return None
    try:
        found = getattr(importlib.import_module(module), last, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def _inside(module: Any, base: type[Any]) -> dict[str, type[Any]]:
    found = {
        name: thing for name, thing in vars(module).items() if isinstance(thing, type) and not name.startswith("_")
    }
    return {name: thing for name, thing in found.items() if issubclass(thing, base) and thing is not base}
