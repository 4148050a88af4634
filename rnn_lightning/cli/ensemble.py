"""`rnn-lightning ensemble`: several trained classifiers as one, kept as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.cli import configs, plugins, runs
from rnn_lightning.cli.app import ScoreCommand
from rnn_lightning.cli.chosen import find
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.kept import as_run
from rnn_lightning.cli.process import shows_bars
from rnn_lightning.cli.words import taken
from rnn_lightning.tasks.ensemble import Ensemble
from rnn_lightning.tasks.loading import model_from, read_checkpoint

_FREE = {
    *("batch_size", "num_workers", "vocab_size", "max_length", "truncate", "num_steps"),
    *("unlabelled", "unlabelled_path", "teacher", "teacher_weight", "temperature"),
}
"""Options of the data that have no part in which sequences are validated."""


def ensemble(options: list[str]) -> int:
    """Fits temperatures and weights on the validation part, says what comes of it, and keeps the ensemble.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    words = taken("ensemble", options)
    if len(words.names) < 2:
        raise UserError("ensemble wants two runs or checkpoints or more: rnn-lightning ensemble RUN RUN")
    places = [find(None, name, _none) for name in words.names]
    _check_data([run for _, run, _ in places if run is not None])
    first = next((run for _, run, _ in places if run is not None), None)
    base = configs.written_out(configs.base(), ("trainer", "seed_everything"))
    recorded = [] if first is None else [configs.written_out(first / runs.CONFIG, ("data",))]
    command = ScoreCommand("ensemble", [base, *recorded, *words.left])
    if command.datamodule is None:
        raise UserError("none of these stands in a run folder, so nothing says what data to fit weights on: name it")
    files = [str(path) for path, _, _ in places]
    model = Ensemble.of([model_from(read_checkpoint(path)) for path, _, _ in places], files)  # type: ignore[misc]  # checked there
    trainer = command.instantiate_trainer(logger=False, enable_progress_bar=shows_bars(), enable_model_summary=False)
    if not trainer.validate(model, datamodule=command.datamodule, verbose=False):
        raise UserError("nothing was validated: the options of the Trainer leave no batch")
    scores = model.fit_weights()
    name = getattr(command.datamodule, "name", type(command.datamodule).__name__.lower())
    say(f"Ensemble on {name}: weights and temperatures of the least val_loss")
    shares = zip(model.hparams["weights"], model.hparams["temperatures"], scores, files, strict=False)
    for weight, temperature, measured, file in shares:
        say(f"  {weight:.3f} x (1 / {temperature:.2f})  {in_words(measured)}  {file}")
    say(f"  together  {in_words(scores[-1])}")
    run = as_run(f"ensemble-{name}", model, _config(command, files), _metrics(scores[-1]))
    say(f"Kept in {run}")
    say(f"Next: {' '.join(('rnn-lightning test', *plugins.words()))}")
    return 0


def _none(part: Path) -> Path:
    raise UserError(f"ensemble wants runs or checkpoints by their names, not '{part.stem}'")


def _check_data(folders: list[Path]) -> None:
    """Holds all of them to have validated the same sequences.

    Raises:
        UserError: one has not: it may have been trained on what the weights would be fitted on.
    """
    found = [_parting(run) for run in folders]
    for run, data in zip(folders, found, strict=True):
        for key in sorted({*data, *found[0]}):
            if data.get(key) != found[0].get(key):
                raise UserError(
                    f"{run} was trained on other data than {folders[0]}: {key} is {data.get(key)} there and "
                    f"{found[0].get(key)} here, so that one may know what the other was validated on"
                )


def _parting(run: Path) -> dict[str, Any]:
    """What decides which sequences are validated."""
    section = runs.recorded(run)["data"]
    options = {f"data.{key}": value for key, value in (section.get("init_args") or {}).items() if key not in _FREE}
    return {"data": section["class_path"].rpartition(".")[2], **options}


def _config(command: ScoreCommand, files: list[str]) -> str:
    """What a training records, of what there is here."""
    fitted_by = yaml.safe_load(command.parser.dump(command.config, skip_none=False))
    content = {"model": {"class_path": "rnn_lightning.Ensemble", "init_args": {"members": files}}, **fitted_by}
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text


def _metrics(scores: dict[str, float]) -> str:
    """What validation measured, as if after an epoch."""
    return f"epoch,step,{','.join(scores)}\n0,0,{','.join(map(str, scores.values()))}\n"
