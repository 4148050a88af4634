"""`rnn-lightning validate` and `rnn-lightning test`: score a checkpoint, never untrained weights."""

from __future__ import annotations

import json
from pathlib import Path

from lightning.pytorch import Trainer

from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.cli import predictions
from rnn_lightning.cli.app import ScoreCommand
from rnn_lightning.cli.chosen import choose
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_together
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
        scores = f"{json.dumps(content, indent=2)}\n".encode()
        files: dict[Path, bytes | None] = {chosen.run / verb / "metrics.json": scores}
        if verb == "test":
            outcomes = chosen.model.outcomes if _is_whole(trainer, verb) else {}
            text = getattr(getattr(command.datamodule, "test", None), "text", lambda index: None)
            files[chosen.run / predictions.FILE] = predictions.in_lines(outcomes, text) if outcomes else None
        write_together(files)
    return 0


def _is_whole(trainer: Trainer, verb: str) -> bool:
    """Whether all batches of the part were scored."""
    limit = trainer.limit_val_batches if verb == "validate" else trainer.limit_test_batches
    # 1 is a number of batches, 1.0 is all of them.
    return not isinstance(limit, int) and limit >= 1.0


def _how_many(trainer: Trainer, datamodule: object, verb: str) -> str:
    """How many sequences were scored, in brackets; nothing where that is not known, or batches were left out."""
    part = getattr(datamodule, "val" if verb == "validate" else "test", None)
    if part is None or not _is_whole(trainer, verb):
        return ""
    return f"  ({len(part):,} sequence{'' if len(part) == 1 else 's'})"
