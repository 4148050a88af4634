"""A fitted NB-SVM as a run folder, with which everything can be done that can be done with a trained model."""

from __future__ import annotations

import io
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from rnn_lightning.cli import job, runs
from rnn_lightning.cli.app import DataCommand
from rnn_lightning.cli.errors import UserError
from rnn_lightning.cli.files import write_together
from rnn_lightning.data.base import SequenceData
from rnn_lightning.tasks.bag_of_ngrams import BagOfNgrams
from rnn_lightning.tasks.base import SequenceTask
from rnn_lightning.text import SPECIAL_TOKENS, TextEncoder

if TYPE_CHECKING:
    from rnn_lightning.baselines.nbsvm import NBSVM


def check(data: SequenceData) -> None:
    """Looks whether there will be an NB-SVM to keep.

    Raises:
        UserError: the data is of another kind.
    """
    facts = data.facts
    if facts.encoder is None or facts.per_step or not facts.labels:
        has = (
            "features"
            if facts.encoder is None
            else "a target for each token"
            if facts.per_step
            else "numbers to predict"
        )
        raise UserError(f"--keep keeps an NB-SVM, which tells classes of texts apart: {data.name} has {has}")


def keep(machine: NBSVM | None, command: DataCommand, data: SequenceData) -> Path:
    """Writes the run.

    Args:
        machine: what was fitted.
        command: the command that it was fitted by.
        data: what it was fitted on.

    Returns:
        The run folder.

    Raises:
        UserError: there is nothing that tells all classes apart, or the folder cannot be written.
    """
    labels = data.facts.labels
    if machine is None or len(machine.labels) != len(labels):
        raise UserError("there is nothing to keep: the training part has no text of one of its classes, or no words")
    model = _network(machine, data)
    name = f"{runs.architecture({'class_path': type(model).__name__})}-{data.name}"
    return as_run(name, model, _config(machine, command), _metrics(machine, data))


def as_run(name: str, model: SequenceTask, config: str, metrics: str) -> Path:
    """Writes a model that was put together, not trained, as a training's run is written.

    Args:
        name: of the folder that the run stands in.
        model: its best checkpoint.
        config: what config.yaml holds.
        metrics: what metrics.csv holds.

    Returns:
        The run folder.

    Raises:
        UserError: it cannot be written.
    """
    with job.run_folder(name, config) as run:
        write_together({run / runs.BEST: _checkpoint(model), run / "metrics.csv": metrics.encode()})
    return run


def _network(machine: NBSVM, data: SequenceData) -> BagOfNgrams:
    encoder, train = data.facts.encoder, data.train.whole()
    assert encoder is not None, "an NB-SVM reads texts"
    # Texts are counted as a whole, where the data has them so: with words that an encoder may not know.
    lexicon = getattr(data.train, "words", encoder.words)
    words = [lexicon[token - len(SPECIAL_TOKENS)] for token in machine.words]
    return BagOfNgrams.fitted(
        TextEncoder(words, unit=encoder.unit),
        data.facts.labels,
        machine.keys,
        machine.lines.weights,
        machine.lines.offsets,
        train.checksum(),
    )


def _checkpoint(model: SequenceTask) -> bytes:
    content: dict[str, Any] = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": version("lightning"),
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(content)
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _config(machine: NBSVM, command: DataCommand) -> str:
    """What a training records, of what there is here."""
    fitted_by = yaml.safe_load(command.parser.dump(command.config, skip_none=False))
    model = {"class_path": "rnn_lightning.BagOfNgrams", "init_args": {"longest": machine.longest, "C": machine.penalty}}
    content = {**fitted_by, "model": model}
    return f"# scikit-learn=={version('scikit-learn')}\n{yaml.safe_dump(content, sort_keys=False)}"


def _metrics(machine: NBSVM, data: SequenceData) -> str:
    """What validation measured, as if after an epoch."""
    val = data.val.whole()
    loss, accuracy = machine.losses(val).mean(), np.mean(machine.predict(val) == val.targets)
    return f"epoch,step,val_accuracy,val_loss\n0,0,{accuracy},{loss}\n"
