"""A trained classifier as a teacher of others. B sequences, C classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnn_lightning.batch import Batch
from rnn_lightning.tasks.loading import load
from rnn_lightning.tasks.one_answer import OneAnswer
from rnn_lightning.text import TextEncoder

Answers = tuple[str, TextEncoder | None, tuple[str, ...], Any]


def teacher(path: str | Path) -> Answers:
    """What a data set has to know of a teacher: its name, encoder, labels, and what gives log probabilities (B, C).

    Args:
        path: a run folder or a checkpoint.

    Raises:
        ValueError: there is none, or it is no classifier.
    """
    model = load(path)
    if not isinstance(model, OneAnswer):
        raise ValueError(f"teacher {path}: it is a {type(model).__name__}, not a classifier of sequences")
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())

    @torch.inference_mode()
    def log_probabilities(batch: Batch) -> np.ndarray[Any, Any]:
        logits = model(batch.inputs.to(model.device), batch.lengths.to(model.device))
        found: np.ndarray[Any, Any] = model.log_probabilities(logits).cpu().numpy()
        return found

    return str(path), model.encoder, model.labels, log_probabilities
