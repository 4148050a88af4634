"""Runs what was exported in ONNX Runtime, beside torch, at shapes that the exporter has not seen.

B sequences, T steps, D input features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from rnn_lightning.export.networks import Exportable, Whole, answer_port, example, initial_state

TOLERANCE = 1e-4
"""Some hundred times what 32 bits were seen to differ by, and far less than a wrong operator does."""
LENGTHS = ((1,), (40,), (17, 0, 1, 9), (2, 3, 3, 0, 1, 3, 2))
"""The lengths of the sequences of each batch that is tried."""
_STEPS = 12

Array = np.ndarray[Any, Any]


class Trial(NamedTuple):
    """What came of it.

    Attributes:
        difference: the largest between ONNX Runtime and torch; of numbers above 1 relative to them.
        shapes: what was tried, in words.
    """

    difference: float
    shapes: str


class FailedError(Exception):
    """A file cannot be run, or says something else than the model."""


def whole_trial(model: Exportable, graph: bytes) -> Trial:
    """Runs a graph of whole sequences.

    Raises:
        FailedError: it cannot be run.
    """
    session = _session(graph)
    differences = []
    for lengths in LENGTHS:
        inputs, counts = _batch(model, lengths)
        found = _run(session, {"inputs": inputs.numpy(), "lengths": counts.numpy()})
        differences.append(_difference(found[0], _wanted(model, inputs, counts)))
    return Trial(max(differences), ", ".join(f"{len(lengths)} x {max(lengths)}" for lengths in LENGTHS))


def steps_trial(model: Exportable, graph: bytes) -> Trial:
    """Runs a graph of one step again and again, beside torch with the whole sequences up to that step.

    Raises:
        FailedError: it cannot be run.
    """
    session = _session(graph)
    tensors = initial_state(model)
    differences, batch_sizes = [], (1, 3)
    for batch_size in batch_sizes:
        inputs = example(model, batch_size, _STEPS)
        state = {tensor.name: tensor.initial.repeat_interleave(batch_size, 0).numpy() for tensor in tensors}
        for t in range(_STEPS):
            found, *new = _run(session, {"inputs": inputs[:, t].numpy(), **state})
            state = dict(zip(state, new, strict=True))
            wanted = _wanted(model, inputs[:, : t + 1], torch.full((batch_size,), t + 1))
            of_step = wanted[:, t] if "time" in answer_port(model, "time").shape else wanted
            differences.append(_difference(found, of_step))
    shapes = ", ".join(f"{batch_size} x {_STEPS}" for batch_size in batch_sizes)
    return Trial(max(differences), f"{shapes}, one by one")


def _batch(model: Exportable, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Random inputs of these lengths, with nonsense in the padding, which must not matter."""
    counts = torch.tensor(lengths)
    inputs = example(model, len(lengths), int(counts.max()))
    if inputs.is_floating_point():
        for row, length in enumerate(lengths):
            inputs[row, length:] = torch.nan
    return inputs, counts


@torch.inference_mode()
def _wanted(model: Exportable, inputs: Tensor, lengths: Tensor) -> Array:
    found: Array = Whole(model)(inputs, lengths).numpy()
    return found


def _session(graph: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes as an exception too
    options.intra_op_num_threads = 1  # small batches
    try:
        return onnxruntime.InferenceSession(graph, options)
    except Exception as error:
        raise FailedError(str(error).strip().split("\n", 1)[0]) from error


def _run(session: Any, inputs: dict[str, Array]) -> list[Array]:
    try:
        found: list[Array] = session.run(None, inputs)
    except Exception as error:  # its errors have no class in common
        raise FailedError(str(error).strip().split("\n", 1)[0]) from error
    return found


def _difference(found: Array, wanted: Array) -> float:
    if found.shape != wanted.shape:
        return np.inf
    with np.errstate(invalid="ignore"):  # an infinity is right where the other is one too
        apart = np.where(found == wanted, 0.0, np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)))
    return float(np.nan_to_num(apart.max(initial=0.0), nan=np.inf))
