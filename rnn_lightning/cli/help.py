"""What `--help` prints: what people change, grouped, with defaults and meaning. Nothing heavy is imported here."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnn_lightning import registry
from rnn_lightning.cli import configs
from rnn_lightning.cli.source import Described, described
from rnn_lightning.cli.verbs import VERBS

_SELDOM = {
    "model": (
        *("prenorm", "locked_dropout", "weight_dropout", "projection_size", "cell_options", "init", "freeze_vectors"),
        *("batch_norm", "embedding_dropout", "word_dropout", "init_lr", "gradual_unfreezing", "residual"),
        *("label_smoothing", "adversarial", "virtual_adversarial", "ngrams", "ngram_sizes"),
        *("vocab_size", "input_size", "num_classes"),
    ),
    "data": (
        *("num_workers", "split_seed", "data_seed", "targets"),
        *("teacher", "teacher_weight", "temperature"),
    ),
}
"""Arguments that wait for -v."""
_TRAINING = (
    ("--optimizer", "optimizer.class_path", "any of torch.optim: AdamW, Adam, SGD, RMSprop, ..."),
    ("--optimizer.lr", "optimizer.init_args.lr", "learning rate"),
    ("--optimizer.weight_decay", "optimizer.init_args.weight_decay", "decay of the weights"),
    ("--lr_scheduler", "", "OneCycle, or any of torch: ReduceLROnPlateau, CosineAnnealingLR, ..."),
    ("--trainer.max_epochs", "trainer.max_epochs", "epochs, at the most"),
    ("--trainer.gradient_clip_val", "trainer.gradient_clip_val", "largest norm of the gradient"),
    ("--trainer.precision", "", "32-true, 16-mixed, bf16-mixed"),
    ("--trainer.devices", "", "processes or GPUs; with --trainer.strategy ddp and --trainer.num_nodes on a cluster"),
    ("--early_stopping.patience", "early_stopping.patience", "validations without a better one before it stops"),
    ("--early_stopping", "", "null never stops early"),
    ("--checkpoint.monitor", "checkpoint.monitor", "what makes a checkpoint the best one"),
    ("--seed_everything", "seed_everything", "makes a training repeatable"),
    ("--ckpt_path", "", "checkpoint that a new run begins with: best, last, a file or a run"),
)
"""Options of training that people change, where base.yaml says their defaults, and their meaning."""
_SCORING = (
    ("--data CLASS", "other data, with options such as --data.path; the run's own by default"),
    ("--trainer.devices", "processes or GPUs; with --trainer.strategy ddp"),
    ("--trainer.limit_test_batches", "a number or a share of the batches, to try something out"),
)
_CLASSES: dict[str, registry.Group] = {"model": "tasks", "data": "data"}
"""Sections whose class is chosen, and where it is registered."""
_WIDTH = 42
"""Of an option with its value, at the most, so that its meaning stands beside it."""


def page(verb: str, options: list[str]) -> str:
    """The help of a verb.

    Args:
        verb: the verb.
        options: what else was said, configs as paths: the classes that they choose are explained.
    """
    of_verb = VERBS[verb]
    lines = [f"usage: rnn-lightning {verb} {of_verb.usage}", "", f"  {of_verb.what}", ""]
    lines += [f"  rnn-lightning {example}" for example in of_verb.examples]
    own = [(f"{option.flag} {option.value}".strip(), option.what) for option in of_verb.all_options]
    lines += _group("", own, textwrap.wrap)
    if "optimizer" in of_verb.sections and verb != "fit":
        lines += ["", "  All other options are those of fit: rnn-lightning fit --help"]
    elif of_verb.sections:
        lines += _of_sections(verb, of_verb.sections, options)
        lines += ["", f"  rnn-lightning {verb} --help -v shows every option there is"]
    return "\n".join(lines) + "\n"


def _of_sections(verb: str, sections: tuple[str, ...], options: list[str]) -> list[str]:
    settings = configs.merged([configs.base(), *_named(options)])
    rows = [("--config NAME", "a config (rnn-lightning list configs), again and again; options hold against them")]
    lines = _group("configs", rows)
    if "trainer" in sections and "model" not in sections:
        return lines + _group("other data than the run's, and how", list(_SCORING))
    for section, group in _CLASSES.items():
        if section in sections:
            lines += _of_class(section, group, settings.get(section) or {}, options)
    if "optimizer" in sections:
        rows = [(_with_default(flag, _at(settings, place)), what) for flag, place, what in _TRAINING]
        lines += _group("training", rows)
    return lines


def _of_class(section: str, group: registry.Group, chosen: Any, options: list[str]) -> list[str]:
    """The options of the class that a section has chosen."""
    named = [value for flag, value in configs.pairs(options) if flag in (f"--{section}", f"--{section}.class_path")]
    in_config = chosen.get("class_path", "") if isinstance(chosen, dict) else str(chosen)
    name = str(named[-1] if named else in_config).rpartition(".")[2]
    given = chosen.get("init_args") or {} if isinstance(chosen, dict) and not named else {}
    what: Described | None = described(registry.place(group, name) or "")
    rows = [(f"--{section} CLASS = {name}", f"one of {', '.join(registry.names(group))}")]
    if what is not None:
        rows += [
            (
                _with_default(f"--{section}.{argument.name}", given.get(argument.name, _plain(argument.default))),
                argument.what,
            )
            for argument in what.arguments
            if argument.name not in _SELDOM[section]
        ]
    return _group(section, rows)


def _group(
    title: str,
    rows: list[tuple[str, str]],
    fitted: Callable[[str, int], list[str]] = lambda what, width: [short(what, width)],
) -> list[str]:
    """Options with their meanings beside them, by default in one line each."""
    if not rows:
        return []
    column = min(max(len(name) for name, _ in rows), _WIDTH) + 4
    width = max(80, min(shutil.get_terminal_size((100, 24)).columns, 120)) - column
    lines = ["", f"{title}:"] if title else [""]
    for name, what in rows:
        first, *more = fitted(what, width)
        lines += [f"  {name:<{column - 2}}{first}".rstrip(), *(" " * column + line for line in more)]
    return lines


def short(what: str, width: int) -> str:
    """A meaning in one line: the first of its clauses, and of that what has room."""
    clause = re.split(r"[;.] ", what)[0] if len(what) > width else what
    return textwrap.shorten(clause.rstrip("."), width, placeholder=" ...")


def _with_default(flag: str, default: Any) -> str:
    if default in (None, "", "None", {}):
        return flag
    return f"{flag} = {str(default).lower() if isinstance(default, bool) else default}"


def _plain(default: str | None) -> str:
    """A default as it is written on the command line."""
    return {"True": "true", "False": "false", None: ""}.get(default, str(default).strip("'\""))


def _at(settings: dict[str, Any], place: str) -> Any:
    for name in place.split(".") if place else ():
        settings = settings.get(name) or {}
    return settings if place else None


def _named(options: list[str]) -> list[Path]:
    return [Path(value) for flag, value in configs.pairs(options) if flag == "--config" and value is not None]
