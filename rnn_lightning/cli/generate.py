"""`rnn-lightning generate`: go on with a text, token by token."""

from __future__ import annotations

import sys
from typing import Any

from rnn_lightning.cli import configs
from rnn_lightning.cli.chosen import choose
from rnn_lightning.cli.errors import UserError
from rnn_lightning.registry import did_you_mean
from rnn_lightning.tasks.language_model import LanguageModel

_OPTIONS: dict[str, tuple[str, type[Any], str]] = {
    "--prompt": ("prompt", str, "text to go on from"),
    "--length": ("length", int, "tokens to write; 100 by default"),
    "--temperature": (
        "temperature",
        float,
        "below 1 more certain, above 1 more daring, 0 always the most probable",
    ),
    "--top_k": ("top_k", int, "draw only from so many of the most probable tokens"),
    "--top_p": ("top_p", float, "draw only from the fewest most probable tokens that reach this probability together"),
    "--seed": ("seed", int, "makes what is written repeatable"),
}
_USAGE = f"""\
usage: rnn-lightning generate --prompt TEXT [options]

{chr(10).join(f"  {flag:15}{what}" for flag, (_, _, what) in _OPTIONS.items())}
  --run          run whose checkpoint is taken; the newest language model by default
  --ckpt_path    checkpoint to take: best (the default), last, a file or a run folder
"""


def generate(options: list[str]) -> int:
    """Writes on from a prompt, as the text comes.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    if not {"-h", "--help"}.isdisjoint(options):
        print(_USAGE, end="")
        return 0
    wanted: dict[str, Any] = {}
    left: list[str] = []
    for flag, value in configs.pairs(options):
        if flag in _OPTIONS:
            name, kind, _ = _OPTIONS[flag]
            wanted[name] = _converted(flag, value, kind)
        elif flag in ("--run", "--config") or flag.removeprefix("--").split(".")[0] in configs.SECTIONS:
            left.append(flag if value is None else f"{flag}={value}")
        else:
            raise _no_option(flag)
    if "prompt" not in wanted:
        raise UserError('generate wants a text to go on from: --prompt "..."')
    chosen, left = choose("generate", left, "LanguageModel")
    for word in left:
        if not word.startswith("--config="):
            raise _no_option(word.partition("=")[0])
    assert isinstance(chosen.model, LanguageModel)
    pieces = chosen.model.generate(**wanted)
    print(f"Writing with {chosen.in_words}", file=sys.stderr)
    print(wanted["prompt"], end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0


def _no_option(flag: str) -> UserError:
    known = [*_OPTIONS, "--run", "--ckpt_path"]
    return UserError(f"generate has no option {flag}; it has {', '.join(known)}{did_you_mean(flag, known)}")


def _converted(flag: str, value: str | None, kind: type[Any]) -> Any:
    try:
        return kind(configs.text(flag, value))
    except ValueError as error:
        raise UserError(f"{flag} wants a {'whole ' if kind is int else ''}number, not '{value}'") from error
