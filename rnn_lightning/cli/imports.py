"""What a config, an option or the record of a run may have imported by its name: importing a module is running it.

jsonargparse asks before it imports anything that a value names, such as a class_path, the classes in its options, or a
function. Here stands what it lets pass. `--allow-imports`, on the command line alone, lifts that.
"""

from __future__ import annotations

import re
import sys

import rnn_lightning
from rnn_lightning import registry
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.signals import speaks
from rnn_lightning.cli.verbs import ALLOW_IMPORTS

_LIGHTNING = ("callbacks", "loggers", "strategies", "profilers", "accelerators", "plugins")
_ALLOWED = (
    *(f"rnn_lightning.{name}" for name in ("tasks", "data", "callbacks", "layers", *rnn_lightning.__all__)),
    *("torch.optim", "lightning.pytorch.cli.ReduceLROnPlateau", "lightning.fabric.plugins"),
    *(f"lightning.pytorch.{package}" for package in _LIGHTNING),
)
"""Modules and classes; the plugins of `lightning.pytorch` are in part those of its fabric."""
IN_WORDS = (
    f"rnn-lightning, torch.optim, Lightning's {', '.join(_LIGHTNING[:-1])} and {_LIGHTNING[-1]}, and your plugins"
)
_DENIED = re.compile(r"Importing '([\w.]+)' is not allowed")

_lifted: list[bool] = []
"""Not empty where the command line lifts the restriction."""
_further: set[str] = set()
"""What jsonargparse lets pass beside that, for this command or one before it in this process."""


def taken(options: list[str]) -> list[str]:
    """The words without the switch, which holds for this command.

    Raises:
        UserError: it has a value.
    """
    _lifted.clear()
    for word in options:
        flag, equals, value = word.partition("=")
        if flag == ALLOW_IMPORTS.flag and equals:
            raise UserError(f"{flag} takes no value, not even '{value}'")
        if flag == ALLOW_IMPORTS.flag:
            _lifted.append(True)
    return [word for word in options if word != ALLOW_IMPORTS.flag]


def words() -> list[str]:
    """The option by which another command may import the same."""
    return [ALLOW_IMPORTS.flag] if _lifted else []


def restrict() -> None:
    """Lets jsonargparse import what belongs here, and nothing else; no config is fetched from an address."""
    from jsonargparse import set_parsing_settings

    wanted = registry.plugin_modules()
    set_parsing_settings(
        import_path_denylist=["*", *sorted(_further - wanted)],
        import_path_allowlist=[*_ALLOWED, *sorted(wanted)],
        config_read_mode_fsspec_enabled=False,
    )
    _further.clear()
    _further.update(wanted)


def is_allowed(name: str) -> bool:
    """Whether a class of this name, with its modules, may be imported."""
    return any(f"{name}.".startswith(f"{allowed}.") for allowed in (*_ALLOWED, *_further))


def denied(complaint: str) -> str | None:
    """The name that jsonargparse complains that it did not import; None where it complains of something else."""
    match = _DENIED.search(complaint)
    return match[1] if match else None


def lifted(complaint: str) -> bool:
    """Lets pass what jsonargparse complains of, and says so, where the command line lifts the restriction."""
    from jsonargparse import set_parsing_settings

    name = denied(complaint)
    # Its own package it never lets pass.
    if not _lifted or name is None or name in _further or name.partition(".")[0] == "jsonargparse":
        return False
    set_parsing_settings(import_path_allowlist=[name])
    _further.add(name)
    if speaks():
        sys.stderr.write(f"rnn-lightning: {ALLOW_IMPORTS.flag}: importing {name}, which runs the code of its module\n")
    return True
