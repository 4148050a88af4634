"""`rnn-lightning validate` and `rnn-lightning test`: score a checkpoint, never untrained weights."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from lightning.pytorch import Trainer

from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.cli.app import ScoreCommand
from rnn_lightning.cli.chosen import choose
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.process import shows_bars
from rnn_lightning.cli.words import refuse_names, taken


def validate(options: list[str]) -> int:
    """Prints the measurements of the validation part, and keeps them in the run folder.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    return _score("validate", options)


def test(options: list[str]) -> int:
    """Prints the measurements of the test part, and keeps them in the run folder.

    Args:
        options: command-line words, configs as paths.

    Returns:
        The exit code.
    """
    return _score("test", options)


def _score(verb: str, options: list[str]) -> int:
    words = taken(verb, options)
    refuse_names(verb, words)
    chosen, left = choose(verb, words)
    command = ScoreCommand(verb, left)
    if command.datamodule is None:
        raise UserError(
            f"{chosen.path} stands outside a run folder, so nothing says what data to {verb} it on: "
            "name the data, for example --config imdb.yaml"
        )
    if not words.has("--json"):
        say(f"{'Testing' if verb == 'test' else 'Validating'} {chosen.in_words}")
    shown = shows_bars() and not words.has("--json")
    loggers = command.loggers(chosen.run or Path())
    trainer = command.instantiate_trainer(logger=loggers, enable_progress_bar=shown, enable_model_summary=False)
    found = getattr(trainer, verb)(chosen.model, datamodule=command.datamodule, verbose=False)
    if not found:
        raise UserError(f"nothing was scored: the options of the Trainer leave no batch to {verb}")
    (measured,) = found
    intervals = chosen.model.intervals
    content = {
        "checkpoint": str(chosen.path),
        **measured,
        **({"intervals": dict(intervals)} if intervals else {}),
        "chance_level": getattr(command.datamodule, "chance_level", dict)(),
        "parameters": sum(parameter.numel() for parameter in chosen.model.parameters()),
    }
    if words.has("--json"):
        say(json.dumps(content))
    else:
        say(f"  {in_words(measured, intervals)}{_how_many(trainer, command.datamodule, verb)}")
    if chosen.run is not None and trainer.is_global_zero:
        _keep(chosen.run / verb / "metrics.json", content)
    return 0


def _how_many(trainer: Trainer, datamodule: object, verb: str) -> str:
    """How many sequences were scored, in brackets; nothing where that is not known, or batches were left out."""
    part = getattr(datamodule, "val" if verb == "validate" else "test", None)
    limit = trainer.limit_val_batches if verb == "validate" else trainer.limit_test_batches
    # 1 is a number of batches, 1.0 is all of them.
    if part is None or isinstance(limit, int) or limit < 1.0:
        return ""
    return f"  ({len(part):,} sequence{'' if len(part) == 1 else 's'})"


def _keep(path: Path, content: dict[str, object]) -> None:
    """Writes JSON under a temporary name and moves it into place, so that no half of it is ever seen."""
    unfinished = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        unfinished.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
