"""`rnn-lightning predict`: raw text in, labels out; or the test part in order, where the data has no text."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from rnn_lightning.cli import configs
from rnn_lightning.cli.app import ScoreCommand
from rnn_lightning.cli.chosen import Chosen, choose
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.words import no_option, refuse_names, taken
from rnn_lightning.data.series_files import SeriesFiles
from rnn_lightning.data.tables import is_table
from rnn_lightning.data.text_files import TextFiles

_AT_ONCE = 1024
"""Texts that are read before they are predicted: sorted by length they make better batches."""
_SHOWN = 100
"""Characters of a text that are shown beside its prediction."""


def predict(options: list[str]) -> int:
    """Prints a line for each text or test sequence, or writes JSON lines.

    Args:
        options: command-line words, configs as paths; --text (again and again), --file and - say what to read,
            --output where to write.

    Returns:
        The exit code.
    """
    words = taken("predict", options)
    refuse_names("predict", words._replace(names=[name for name in words.names if name != "-"]))
    texts, output = words.given.get("--text", []), words.one("--output")
    files = [*words.given.get("--file", []), *words.names]
    if output is not None and words.has("--json"):
        raise UserError("--output and --json both say where the JSON lines go: give one of them")
    chosen, left = choose("predict", words)
    print(f"Predicting with {chosen.in_words}", file=sys.stderr)
    if files and not texts and chosen.model.scaling is not None:
        predictions = _of_series(chosen, left, files)
    elif texts or files:
        _refuse(left)
        predictions = _of_texts(chosen, left, texts, files)
    elif chosen.model.encoder is not None:
        raise UserError('this model reads text: give --text "...", --file FILE, or - for standard input')
    else:
        predictions = _of_test_part(chosen, left)
    _write(predictions, output, words.has("--json"))
    return 0


def _refuse(left: list[str]) -> None:
    """The data and the Trainer have no part in predicting texts: an option of theirs would do nothing."""
    given = [word.partition("=")[0] for word in left if not word.startswith("--config=")]
    if given and given[0].removeprefix("--").split(".")[0].rstrip("+") not in configs.SECTIONS:
        raise no_option("predict", given[0])
    if given:
        raise UserError(f"{given[0]} does not apply to texts: they need no data set and no Trainer")


def _of_texts(chosen: Chosen, left: list[str], texts: list[str], files: list[str]) -> Iterator[dict[str, Any]]:
    has_tables = any(is_table(Path(name)) for name in files)
    data = ScoreCommand("predict", left).datamodule if has_tables else None
    lines = iter([*texts]) if not files else _lines(texts, files, data if isinstance(data, TextFiles) else None)
    while part := list(islice(lines, _AT_ONCE)):
        for text, prediction in zip(part, chosen.model.predict_text(part), strict=True):
            yield {"text": text, **prediction._asdict()}


def _of_series(chosen: Chosen, left: list[str], files: list[str]) -> Iterator[dict[str, Any]]:
    data = ScoreCommand("predict", left).datamodule
    if not isinstance(data, SeriesFiles) or chosen.model.scaling is None:
        raise UserError(
            "--file of series needs --data SeriesFiles, as in training: --data.group for one, if it was given"
        )
    for name in files:
        sequences, series = data.unlabelled(Path(name), chosen.model.scaling.names)
        for sequence, prediction in zip(sequences, chosen.model.predict_series(series), strict=True):
            yield {"sequence": sequence, **prediction._asdict()}


def _lines(texts: list[str], files: list[str], data: TextFiles | None) -> Iterator[str]:
    """All texts: those of a table where the run was trained on one, else a text in each line."""
    yield from texts
    for name in files:
        if data is not None and is_table(Path(name)):
            yield from data.unlabelled(Path(name))
            continue
        shown = "standard input" if name == "-" else name
        try:
            with _opened(name) as lines:
                yield from (line.rstrip("\n") for line in lines)
        except OSError as error:
            raise UserError(f"{shown} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{shown} is not UTF-8 text ({error.reason})") from error


def _opened(name: str) -> TextIO:
    if name == "-":
        return io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig")
    return open(name, encoding="utf-8-sig")


def _of_test_part(chosen: Chosen, options: list[str]) -> Iterator[dict[str, Any]]:
    command = ScoreCommand("predict", options)
    if command.datamodule is None:
        raise UserError(
            f"{chosen.path} stands outside a run folder, so nothing says what data to predict: "
            "name the data, for example --data SyntheticSequences"
        )
    # One process, since the order of the predictions is that of the data.
    alone: dict[str, Any] = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    trainer = command.instantiate_trainer(**alone, enable_progress_bar=False, enable_model_summary=False)
    batches = trainer.predict(chosen.model, datamodule=command.datamodule)
    everything = (prediction for batch in batches or [] for prediction in batch)
    return ({"index": index, **prediction._asdict()} for index, prediction in enumerate(everything))


def _write(predictions: Iterable[dict[str, Any]], output: str | None, as_json: bool) -> None:
    if output is None:
        for prediction in predictions:
            line = _as_json(prediction) if as_json else _in_words(prediction)
            print(line, flush=not sys.stdout.isatty())
        return
    count = 0
    with _whole_file(Path(output)) as file:
        for prediction in predictions:
            file.write(f"{_as_json(prediction)}\n")
            count += 1
    print(f"{count:,} predictions in {output}", file=sys.stderr)


def _as_json(prediction: dict[str, Any]) -> str:
    return json.dumps(prediction, ensure_ascii=False)


def _in_words(prediction: dict[str, Any]) -> str:
    subject = next(prediction[name] for name in ("text", "sequence", "index") if name in prediction)
    shown = subject if not isinstance(subject, str) or len(subject) <= _SHOWN else f"{subject[: _SHOWN - 1]}…"
    if "labels" in prediction:
        steps = prediction["labels"]
        if "tokens" in prediction:
            steps = [f"{token}/{label}" for token, label in zip(prediction["tokens"], steps, strict=True)]
        return f"{' '.join(steps)}  {shown}"
    if "tokens" in prediction:
        pairs = zip(prediction["tokens"], prediction["probabilities"], strict=True)
        return f"{'  '.join(f'{token!r} {probability:.4f}' for token, probability in pairs)}  after  {shown}"
    if "value" in prediction:
        return f"{prediction['value']:.4f}  {shown}"
    return f"{prediction['label']}  {prediction['probability']:.4f}  {shown}"


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name when it is whole: an error leaves nothing behind."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        # A pipe or a device is written to as it comes: a file that is moved there would take its place.
        in_place = path.exists() and not path.is_file()
        with (path if in_place else unfinished).open("w", encoding="utf-8") as file:
            yield file
        if not in_place:
            os.replace(unfinished, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
