"""A verb's own words, told from the options of its sections. Nothing heavy is imported here."""

from __future__ import annotations

from typing import NamedTuple

from rnn_lightning.cli import configs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.verbs import VERBS, Option
from rnn_lightning.registry import did_you_mean


class Words(NamedTuple):
    """What stands after a verb.

    Attributes:
        names: words that belong to no option, such as those of runs.
        given: the values of the verb's own options, in their order; a switch has an empty one.
        left: the options of the verb's sections, each as one word.
    """

    names: list[str]
    given: dict[str, list[str]]
    left: list[str]

    def one(self, flag: str) -> str | None:
        """The value of an option; the last where it was given again, None where it was not given."""
        return self.given[flag][-1] if flag in self.given else None

    def has(self, flag: str) -> bool:
        """Whether an option was given."""
        return flag in self.given

    def whole_number(self, flag: str, default: int, lowest: int = 1) -> int:
        """The value of an option that is a whole number.

        Raises:
            UserError: it is none, or below `lowest`.
        """
        value = self.one(flag)
        if value is None:
            return default
        if not value.isdecimal() or int(value) < lowest:
            raise UserError(f"{flag} wants a whole number, at least {lowest}, not '{value}'")
        return int(value)


def taken(verb: str, options: list[str]) -> Words:
    """Sorts the words after a verb.

    Args:
        verb: the verb.
        options: the words, configs as paths.

    Raises:
        UserError: an option is unknown, has no value, or is one of a section that the verb does not take.
    """
    own = {option.flag: option for option in VERBS[verb].options}
    found = Words([], {}, [])
    words = list(options)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            found.names.append(word)
        elif flag in own:
            found.given.setdefault(flag, []).extend(_values(own[flag], [value] if equals else None, words))
        else:
            _check(verb, flag)
            # A value may begin with one dash, as negative numbers do.
            alone = bool(equals) or not words or words[0].startswith("--")
            found.left.append(word if alone else f"{word}={words.pop(0)}")
    return found


def refuse_names(verb: str, words: Words) -> None:
    """For a verb all of whose words belong to options.

    Raises:
        UserError: there is one that does not.
    """
    if words.names:
        raise UserError(f"'{words.names[0]}' belongs to no option of {verb}")


def _values(option: Option, given: list[str] | None, words: list[str]) -> list[str]:
    """The values of an option: those given by = or the words that follow, which are taken away."""
    if not option.value:
        if given is not None:
            raise UserError(f"{option.flag} takes no value, not even '{given[0]}'")
        return [""]
    if option.value.endswith("..."):
        while words and (not words[0].startswith("-") or words[0] == "-"):
            given = [*(given or []), words.pop(0)]
    elif given is None and words and not words[0].startswith("--"):
        given = [words.pop(0)]
    if option.value.startswith("[") and given is None:
        return [""]
    if not given or (option.value in ("FILE", "FOLDER") and not all(given)):
        raise UserError(f"{option.flag} wants a value")
    # A file may have any name.
    return [configs.text(option.flag, value) for value in given] if option.value == "TEXT" else given


def _check(verb: str, flag: str) -> None:
    """Refuses an option that cannot be the verb's. What else is wrong with those of its sections, the parser says."""
    of_verb = VERBS[verb]
    section = flag.removeprefix("--").split(".")[0].rstrip("+")
    if section in of_verb.sections or (flag == "--config" and of_verb.sections):
        return
    if section in configs.SECTIONS and of_verb.why_not:
        raise UserError(f"{verb} does not take {flag}: {of_verb.why_not}")
    if not of_verb.sections or did_you_mean(flag, [option.flag for option in of_verb.options]):
        raise no_option(verb, flag)


def no_option(verb: str, flag: str) -> UserError:
    """What is said of an option that a verb does not have."""
    known = [option.flag for option in VERBS[verb].all_options]
    has = f"; it has {', '.join(known)}" if known else ""
    return UserError(f"{verb} has no option {flag}{has}{did_you_mean(flag, known)}")
