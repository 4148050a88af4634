"""The section `sweep` of a config: what is searched, and how. What is wrong with it is found before the first trial."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from rnn_lightning.cli import configs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.arguments import FIXED, arguments, classes
from rnn_lightning.cli.errors import UserError, mistake_in, shown
from rnn_lightning.cli.places import place
from rnn_lightning.registry import did_you_mean

SECTION = "sweep"
_SAME = ("checkpoint", "ckpt_path", SECTION)
"""Sections that no trial has to itself."""


class Range(NamedTuple):
    """All numbers between two, or those that lie `step` apart; `log`: small ones as often as large ones."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant: they are written so."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))


Choice = tuple[Any, ...]
Space = dict[str, Choice | Range]


@dataclass(frozen=True)
class Sweep:
    """What the section says.

    Args:
        space: options as on the command line, each with a list of values or a table of low, high, log and step.
        trials: how many there are to be; those that were pruned or failed count too.
        metric: what is compared, of the best validation of each trial; by default what checkpoint monitors.
        direction: min or max; by default as checkpoint has it.
        pruning: median ends a trial whose best is worse than the median of the others had been by then; none ends none.
        warmup_trials: so many have to be finished before one is pruned.
        warmup_validations: of a trial, before it is pruned.
        seed: makes the choices repeatable.
    """

    space: Space
    trials: int = 20
    metric: str | None = None
    direction: str | None = None
    pruning: str = "median"
    warmup_trials: int = 5
    warmup_validations: int = 3
    seed: int = 1
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def forced(self) -> list[str]:
        """Options of fit that hold in each trial, whatever is said elsewhere."""
        decided = {"monitor": self.metric, "mode": self.direction}
        return [f"--checkpoint.{name}={value}" for name, value in decided.items() if value is not None]

    def combinations(self) -> list[dict[str, Any]] | None:
        """All that can be tried, in an order without meaning, where that is no more than `trials`; else None."""
        each = [values for values in self.space.values() if not isinstance(values, Range)]
        if len(each) < len(self.space) or math.prod(map(len, each)) > self.trials:
            return None
        found = [dict(zip(self.space, values, strict=True)) for values in product(*each)]
        Random(self.seed).shuffle(found)
        return found


KEYS = tuple(part.name for part in fields(Sweep) if part.name != "places")
WORDS = {"direction": ("min", "max"), "pruning": ("median", "none")}
"""Keys that take one of a few words."""
LOWEST = {"trials": 1, "warmup_trials": 0, "warmup_validations": 0, "seed": 0}
"""Keys that take a whole number."""


def read(options: list[str]) -> Sweep:
    """The section, put together from all configs that have one.

    Args:
        options: the words after the verb, configs as paths.

    Raises:
        UserError: there is none, or something is wrong in it.
    """
    pairs = configs.pairs(options)
    paths = [Path(str(value)) for flag, value in pairs if flag == "--config"]
    content = configs.merged(paths).get(SECTION)
    if content is None:
        raise UserError("sweep wants a config with a section 'sweep', which says what is searched, such as sweep.yaml")

    def where(*keys: str) -> str:
        return place((SECTION, *keys), pairs)

    if not isinstance(content, dict):
        raise UserError(f"{where()}the section 'sweep' wants options, such as trials: 20, not '{shown(content)}'")
    for key, value in content.items():
        if key not in KEYS:
            raise UserError(f"{where(key)}sweep has no option '{key}'{did_you_mean(key, list(KEYS))}")
        if key != "space" and (said := _mistake(key, value)):
            raise UserError(f"{where(key)}{said}")
    space = content.get("space")
    if not isinstance(space, dict) or not space:
        raise UserError(
            f"{where('space') or where()}sweep.space wants options with what they can be, "
            "such as model.hidden_size: [32, 64, 128]"
        )
    found: Space = {}
    for name, values in space.items():
        try:
            found[name] = _values(name, values)
        except ValueError as error:
            raise UserError(f"{where('space', name)}{error}") from error
    return Sweep(**{**content, "space": found}, places={name: where("space", name) for name in space})


def _mistake(key: str, value: Any) -> str:
    """What is wrong with an option of the section; nothing where it is right."""
    if key in WORDS and value not in WORDS[key]:
        return f"sweep.{key} is '{shown(value)}', not one of {', '.join(WORDS[key])}{_near(value, key)}"
    if key in LOWEST and (isinstance(value, bool) or not isinstance(value, int) or value < LOWEST[key]):
        return f"sweep.{key} wants a whole number, at least {LOWEST[key]}, not '{shown(value)}'"
    if key == "metric" and not isinstance(value, str):
        return f"sweep.metric wants the name of a measurement, such as val_loss, not '{shown(value)}'"
    return ""


def _near(value: Any, key: str) -> str:
    return did_you_mean(value, list(WORDS[key])) if isinstance(value, str) else ""


def _values(name: str, values: Any) -> Choice | Range:
    """What an option can be.

    Raises:
        ValueError: nothing, or nothing that is understood.
    """
    if name.partition(".")[0] in _SAME:
        raise ValueError(f"sweep.space: {name} is the same in all trials")
    if isinstance(values, dict):
        return _range(name, values)
    if not isinstance(values, list):
        raise ValueError(
            f"sweep.space: {name} wants a list of values, or a table of low and high, not '{shown(values)}'"
        )
    if not values:
        raise ValueError(f"sweep.space: {name} has no values to choose from")
    # Tables and lists travel as text: a study keeps plain values only.
    plain = tuple(json.dumps(value) if isinstance(value, list | dict) else value for value in values)
    written = [written_out(value) for value in plain]
    for word in written:
        if written.count(word) > 1:
            raise ValueError(f"sweep.space: {name} has {word} twice")
    return plain


def _range(name: str, values: dict[str, Any]) -> Range:
    for key in values:
        if key not in Range._fields:
            raise ValueError(
                f"sweep.space: {name} has no '{key}' beside low, high, log and step"
                f"{did_you_mean(str(key), list(Range._fields))}"
            )
    for key in ("low", "high"):
        if key not in values:
            raise ValueError(f"sweep.space: {name} lacks '{key}'")
    for key in ("low", "high", "step"):
        value = values.get(key)
        if key in values and (
            isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        ):
            raise ValueError(f"sweep.space: {name} wants a number for '{key}', not '{shown(value)}'")
    if not isinstance(values.get("log", False), bool):
        raise ValueError(f"sweep.space: {name} wants true or false for 'log', not '{shown(values['log'])}'")
    found = Range(**values)
    if found.low > found.high:
        raise ValueError(f"sweep.space: {name} has low {found.low} above high {found.high}")
    if found.log and found.low <= 0:
        raise ValueError(f"sweep.space: {name} has low {found.low}; with log it must be above 0")
    if found.log and found.step is not None:
        raise ValueError(f"sweep.space: {name} takes log or step, not both")
    if found.step is not None and found.step <= 0:
        raise ValueError(f"sweep.space: {name} has step {found.step}; it must be above 0")
    return found


def written_out(value: Any) -> str:
    """A value as it is written on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def words(values: Mapping[str, Any]) -> list[str]:
    """Values as options of fit; a class before its options."""
    return [f"--{name}={written_out(values[name])}" for name in sorted(values, key=lambda name: name.count("."))]


def without_section(options: list[str]) -> list[str]:
    """The options of fit: configs as they are, or, if they have the section, without it."""
    sections = [section for section in configs.SECTIONS if section != SECTION]
    found = []
    for word in options:
        flag, _, value = word.partition("=")
        has_it = flag == "--config" and SECTION in configs.read(Path(value))
        found.append(configs.written_out(Path(value), sections) if has_it else word)
    return found


def check(sweep: Sweep, options: list[str]) -> FitCommand:
    """Finds wrong names and values in the space, without training.

    Args:
        sweep: the section.
        options: those of fit in all trials.

    Returns:
        The first trial that could be.

    Raises:
        UserError: fit would refuse a name or a value.
    """
    first, *others = _points(sweep.space)
    command = _command(sweep, options, first)
    for point in others:
        try:
            _command(sweep, options, point)
        except UserError:
            # Values that only do not go together are left to the trials.
            for name, value in point.items():
                _command(sweep, options, {**first, name: value}, blamed=name)
    return command


def _points(space: Space) -> list[dict[str, Any]]:
    """A few trials in which each value occurs, of a range its two ends."""
    ends = {name: (values.low, values.high) if isinstance(values, Range) else values for name, values in space.items()}
    count = max(map(len, ends.values()))
    return [{name: values[number % len(values)] for name, values in ends.items()} for number in range(count)]


def _command(sweep: Sweep, options: list[str], values: dict[str, Any], blamed: str = "") -> FitCommand:
    """A trial that could be.

    Raises:
        UserError: it could not, with the line of the value that is to blame.
    """
    given = words(values)
    try:
        return _made([*options, *given, *sweep.forced])
    except UserError as error:
        if blamed:
            raise _in_space(sweep, blamed, error) from error
        for count in range(len(given)):
            try:
                _made([*options, *given[:count], *sweep.forced])
            except UserError as earlier:
                if str(earlier) == str(error):
                    # Already without this value, and without any the mistake is that of the other options.
                    blamed = given[count - 1].partition("=")[0].removeprefix("--") if count else ""
                    break
        else:
            blamed = given[-1].partition("=")[0].removeprefix("--")
        if not blamed:
            raise
        raise _in_space(sweep, blamed, error) from error


def _in_space(sweep: Sweep, name: str, error: UserError) -> UserError:
    """A mistake that comes with an option of the space, where it stands."""
    known = names()
    whole = [other for other in known if other.endswith(f".{name}")]  # its section is forgotten
    said = str(error) if name in known else f"there is no option '{name}'{did_you_mean(name, whole or known)}"
    return UserError(f"{sweep.places[name]}sweep.space: {said}")


def names() -> list[str]:
    """The options that can be searched, of whatever class."""
    owners = [(section, owner) for section in configs.CHOSEN for owner in classes(section).values()]
    owners += [(section, owner) for section, owner in FIXED.items() if section not in _SAME]
    options = [f"{section}.{option}" for section, owner in owners for option in arguments(owner)]
    return list(dict.fromkeys((*configs.CHOSEN, "early_stopping", "seed_everything", *options)))


def _made(options: list[str]) -> FitCommand:
    """A training.

    Raises:
        UserError: fit would refuse it.
    """
    try:
        return FitCommand("sweep", [f"--config={configs.base()}", *options])
    except Exception as error:
        mistake = mistake_in(error)
        if mistake is None or isinstance(mistake, UserError):
            raise
        raise UserError(str(mistake)) from error
