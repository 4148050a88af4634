"""`rnn-lightning generate`: go on with a text, token by token."""

from __future__ import annotations

import sys
from typing import Any

from rnn_lightning.cli.chosen import choose
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.words import refuse_names, taken
from rnn_lightning.tasks.language_model import LanguageModel

_KINDS: dict[str, type[Any]] = {
    "prompt": str,
    "length": int,
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "seed": int,
}


def generate(options: list[str]) -> int:
    """Writes on from a prompt, as the text comes.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    words = taken("generate", options)
    refuse_names("generate", words)
    wanted = {
        name: _converted(f"--{name}", value, kind)
        for name, kind in _KINDS.items()
        if (value := words.one(f"--{name}")) is not None
    }
    if "prompt" not in wanted:
        raise UserError('generate wants a text to go on from: --prompt "..."')
    words.left.extend(f"--config={path}" for path in words.given.get("--config", []))
    chosen, _ = choose("generate", words, "LanguageModel")
    assert isinstance(chosen.model, LanguageModel)
    pieces = chosen.model.generate(**wanted)
    print(f"Writing with {chosen.in_words}", file=sys.stderr)
    print(wanted["prompt"], end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0


def _converted(flag: str, value: str, kind: type[Any]) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise UserError(f"{flag} wants a {'whole ' if kind is int else ''}number, not '{value}'") from error
