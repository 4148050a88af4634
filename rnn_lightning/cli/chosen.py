"""Which checkpoint a verb works with: the best one of the newest run, unless the user names another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_lightning import registry
from rnn_lightning.cli import configs, runs
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.words import Words
from rnn_lightning.data.base import SequenceData
from rnn_lightning.tasks.base import CHECKPOINT_KEY, SequenceTask
from rnn_lightning.tasks.loading import model_from, read_checkpoint

_SECTIONS = ("data", "trainer", "seed_everything")
"""The sections of a config that concern a verb whose model comes from a checkpoint."""


@dataclass(frozen=True)
class Chosen:
    """A checkpoint, with its model.

    Attributes:
        path: the file.
        run: the run folder it stands in; None for a lone file.
        model: ready to predict.
        in_words: which one it is.
    """

    path: Path
    run: Path | None
    model: SequenceTask
    in_words: str


def choose(verb: str, words: Words, model: str | None = None) -> tuple[Chosen, list[str]]:
    """Loads the checkpoint that the words ask for.

    Args:
        verb: the verb, for error texts.
        words: what stands after it; --run and --ckpt_path name a checkpoint.
        model: the task class that the verb is for; None: any.

    Returns:
        The checkpoint, and the words that are left for the data and the Trainer: configs without what a checkpoint
        decides, under them the data section that the run recorded.

    Raises:
        UserError: there is no such checkpoint.
        ValueError: the checkpoint cannot be loaded.
    """
    sections: list[dict[str, Any]] = []
    left: list[str] = []
    for flag, value in configs.pairs(words.left):
        if flag == "--config":
            sections.append(configs.read(Path(str(value))))
            left.append(configs.written_out(Path(str(value)), _SECTIONS))
        else:
            left.append(flag if value is None else f"{flag}={value}")
    path, run, which = find(words.one("--run"), words.one("--ckpt_path"), lambda part: _newest(verb, sections, model))
    checkpoint = read_checkpoint(path)
    if model is not None and checkpoint[CHECKPOINT_KEY]["task"] != model:
        raise UserError(f"{verb} wants a {model}; {path} holds a {checkpoint[CHECKPOINT_KEY]['task']}")
    chosen = Chosen(path, run, model_from(checkpoint), f"{which} (epoch {checkpoint['epoch'] + 1})")
    return chosen, [*_defaults(run), *left]


def find(
    run_name: str | None, checkpoint_name: str | None, newest: Callable[[Path], Path]
) -> tuple[Path, Path | None, str]:
    """The checkpoint that --run and --ckpt_path name.

    Args:
        run_name: a run, as in `runs.find`.
        checkpoint_name: best (as if nothing is given) or last, or a file, or a run.
        newest: gives the run that is taken where none is named, from the checkpoint's place in it.

    Returns:
        The file, the run folder it stands in, if it does, and which one it is in words.

    Raises:
        UserError: there is no such run, or two are named.
    """
    if checkpoint_name in (None, "best", "last"):
        part = checkpoint_name or "best"
        place = runs.LAST if part == "last" else runs.BEST
        if run_name is None:
            run = newest(place)
            return run / place, run, f"the {part} checkpoint of the newest run, {run}"
        run = runs.find(run_name, place)
        return run / place, run, f"the {part} checkpoint of the run {run}"
    if run_name is not None:
        raise UserError(f"--run {run_name} and --ckpt_path {checkpoint_name} both name a checkpoint: give one of them")
    file = Path(str(checkpoint_name))
    if file.is_dir() or (not file.is_file() and runs.named(str(checkpoint_name)) is not None):
        run = runs.find(str(file), runs.BEST)
        return run / runs.BEST, run, f"the best checkpoint of the run {run}"
    folder = file.resolve().parent
    in_run = folder.name == runs.BEST.parent.name and (folder.parent / runs.CONFIG).is_file()
    return file, folder.parent if in_run else None, f"the checkpoint {file}"


def wanted(sections: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """The architecture and the task that configs name, each None where they name none."""
    architecture, task = None, None
    for section in sections:
        model, data = section.get("model"), section.get("data")
        if isinstance(model, dict) and "cell" in (model.get("init_args") or {}):
            architecture = runs.architecture(model)
        name = data.get("class_path") if isinstance(data, dict) else data
        if name is not None:
            options = (data.get("init_args") or {}) if isinstance(data, dict) else {}
            kind = registry.resolve("data", str(name).rpartition(".")[2])
            task = kind.name_with(options) if issubclass(kind, SequenceData) else kind.name
    return architecture, task


def _newest(verb: str, sections: list[dict[str, Any]], model_class: str | None) -> Path:
    architecture, task = wanted(sections)
    run = runs.newest(architecture, task, model_class)
    if run is None:
        kind = "-".join(word for word in (architecture, task) if word)
        config = "next_word.yaml" if model_class == "LanguageModel" else "lstm.yaml"
        raise UserError(
            f"no {kind + ' ' if kind else ''}run under {runs.root()}/ to {verb}; train one first "
            f"(rnn-lightning fit --config {config}) or name a checkpoint (--ckpt_path FILE)"
        )
    return run


def _defaults(run: Path | None) -> list[str]:
    """The shipped settings of the Trainer, and the data that the run recorded."""
    base = configs.written_out(configs.base(), ("trainer", "seed_everything"))
    if run is None:
        return [base]
    runs.recorded(run)  # it is whole
    return [base, configs.written_out(run / runs.CONFIG, ("data",))]
