"""`rnn-lightning completion`: scripts by which shells complete the command. They are made here and shipped as files.

`python -m rnn_lightning.cli.completion --write` makes them anew. A shell then needs no Python when a key is pressed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from rnn_lightning import registry
from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.help import short
from rnn_lightning.cli.verbs import VERBS, Option
from rnn_lightning.cli.words import taken
from rnn_lightning.registry import did_you_mean

SHELLS = ("bash", "zsh", "fish")
FILES, FOLDERS, CONFIGS, RUNS, CHECKPOINTS = "files", "folders", "configs", "runs", "checkpoints"
"""What a shell looks for itself; a checkpoint is a file, or best, or last."""
_VALUES = {"FILE": FILES, "FOLDER": FOLDERS, "RUN": RUNS, "CONFIG": CONFIGS}
_PATHS = {"--data.path": FILES, "--model.vectors": FILES, "--trainer.default_root_dir": FOLDERS}
_WIDTH = 70
"""Of a meaning."""


class Offer(NamedTuple):
    """An option, and what can come after it.

    Attributes:
        flag: such as --model.cell.
        what: its meaning.
        words: values that it takes.
        looked_up: FILES or another of these; nothing where there is nothing to look for.
        kind: a switch takes no value, of several any number.
    """

    flag: str
    what: str
    words: tuple[str, ...] = ()
    looked_up: str = ""
    kind: str = "one"


def completion(options: list[str]) -> int:
    """Prints the script of a shell.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    names = taken("completion", options).names
    if len(names) != 1 or names[0] not in SHELLS:
        near = did_you_mean(names[0], list(SHELLS)) if len(names) == 1 else ""
        raise UserError(f"completion wants the name of a shell: {', '.join(SHELLS)}{near}")
    print(path(names[0]).read_text("utf-8"), end="")
    return 0


def path(shell: str) -> Path:
    """Where the script of a shell stands."""
    return Path(__file__).with_name("completions") / f"rnn-lightning.{shell}"


def of_verb(verb: str) -> list[Offer]:
    """The options that are a verb's own."""
    own = [_own(option) for option in VERBS[verb].all_options]
    more = [Offer("-v", "show every option there is", kind="switch")] if VERBS[verb].sections else []
    return [*own, Offer("--help", "say what there is to say", kind="switch"), *more]


def of_sections() -> dict[str, list[Offer]]:
    """The options of each section, and of the classes that it can choose from; --config belongs to all."""
    from rnn_lightning.cli.arguments import FIXED, arguments, classes

    found = {
        "config": [
            Offer(flag, "a config, again and again", tuple(configs.shipped()), CONFIGS) for flag in configs.FLAGS
        ]
    }
    for section in configs.CHOSEN:
        known = classes(section)
        # Those of this package: which others are installed is nobody else's business.
        groups: dict[str, registry.Group] = {"model": "tasks", "data": "data"}
        names = [n for n in known if section not in groups or registry.source(groups[section], n) is None]
        found[section] = [
            Offer(f"--{section}", "its class", (*names, *(["null"] if section == "lr_scheduler" else [])))
        ]
        options: dict[str, Offer] = {}
        for name in names:
            for option, argument in arguments(known[name]).items():
                offer = _of_argument(f"--{section}.{option}", argument)
                before = options.setdefault(option, offer)
                options[option] = before._replace(words=tuple(dict.fromkeys((*before.words, *offer.words))))
        found[section] += options.values()
    for section, owner in FIXED.items():
        off = [] if section == "trainer" else [Offer(f"--{section}", "null switches it off", ("null",))]
        found[section] = [*off, *(_of_argument(f"--{section}.{n}", option) for n, option in arguments(owner).items())]
    found["seed_everything"] = [Offer("--seed_everything", "makes a training repeatable")]
    found["ckpt_path"] = [Offer("--ckpt_path", "checkpoint to go on from, in a new run", looked_up=FILES)]
    return found


def of_names(verb: str) -> Offer:
    """What words a verb takes that belong to no option, read from its usage."""
    usage = VERBS[verb].usage
    if match := re.match(r"\[?(\w+(?: \| \w+)+)\]?", usage):
        return Offer(verb, "", tuple(match[1].split(" | ")), kind="several")
    match = re.match(r"\[?([A-Z]+)\b", usage)
    return Offer(verb, "", looked_up=_VALUES.get(match[1], "") if match else "", kind="several")


def _own(option: Option) -> Offer:
    name = option.value.strip("[].").split(" ")[0]
    kind = "switch" if not option.value else "several" if option.value.endswith("...") else "one"
    looked_up = CHECKPOINTS if option.flag == "--ckpt_path" else CONFIGS if option.flag == "--config" else ""
    looked_up = looked_up or _VALUES.get(name, "")
    words = {CHECKPOINTS: ("best", "last"), CONFIGS: tuple(configs.shipped())}.get(looked_up, ())
    return Offer(option.flag, short(option.what, _WIDTH), words, looked_up, kind)


def _of_argument(flag: str, argument: Any) -> Offer:
    from rnn_lightning.cli.schema import values

    cells = [name for name in registry.names("layers") if registry.source("layers", name) is None]
    words = tuple(cells) if flag == "--model.cell" else tuple(values(argument.kind))
    return Offer(flag, short(argument.what, _WIDTH) if argument.what else "", words, _PATHS.get(flag, ""))


def scripts() -> dict[str, str]:
    """The script of each shell, made from the table of verbs and the classes' options."""
    from rnn_lightning.cli import shells

    return {shell: getattr(shells, shell)() for shell in SHELLS}


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m rnn_lightning.cli.completion --write")
    for _shell, _text in scripts().items():
        path(_shell).write_text(_text, "utf-8")
