"""The files of an export, each tried before it is kept."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor

from rnn_lightning.batch import kept
from rnn_lightning.export.graph import Port, content
from rnn_lightning.export.networks import (
    Exportable,
    answer_port,
    initial_state,
    inputs_port,
    step_graph,
    whole_graph,
    why_no_steps,
)
from rnn_lightning.export.trial import TOLERANCE, FailedError, Trial, steps_trial, whole_trial
from rnn_lightning.text import TextEncoder

WHOLE, STEP, INT8, ENCODER, ABOUT, EXAMPLE = FILES = (
    *("model.onnx", "step.onnx", "int8.onnx"),
    *("encoder.json", "model.json", "example.py"),
)

_NOT_FOR_THE_USER = (
    "Please consider to run pre-processing before quantization",  # it makes no file smaller here
    "Inference failed or unsupported type to quantize for tensor",  # of whole numbers and conditions
)


class Export(NamedTuple):
    """What an export consists of.

    Attributes:
        files: their content, by their names.
        trials: what came of those that were run.
        no_steps: why there is no file for single steps; None where there is one.
    """

    files: dict[str, bytes]
    trials: dict[str, Trial]
    no_steps: str | None


def exported(model: Exportable, int8: bool = False) -> Export:
    """A model as files that run without torch, tried beside it.

    Args:
        model: a trained model.
        int8: one more file, with weights of 8 bits.

    Raises:
        ValueError: a layer does something that ONNX has no operator for.
        FailedError: a file cannot be run, or says something else than the model.
    """
    no_steps = why_no_steps(model)
    files, trials = {}, {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what is tried is always the same
        graph = whole_graph(model)
        files[WHOLE] = content(graph)
        trials[WHOLE] = _held(WHOLE, whole_trial, model, files)
        if no_steps is None:
            files[STEP] = content(step_graph(model))
            trials[STEP] = _held(STEP, steps_trial, model, files)
        if int8:
            files[INT8] = _in_8_bits(graph)
            trials[INT8] = _held(INT8, whole_trial, model, files, np.inf)
    if model.encoder is not None:
        files[ENCODER] = model.encoder.tokenizer_json().encode()
    files[ABOUT] = (json.dumps(_about(model, no_steps is None), ensure_ascii=False, indent=2) + "\n").encode()
    files[EXAMPLE] = Path(__file__).with_name("example.py").read_bytes()
    return Export(files, trials, no_steps)


def _held(
    name: str,
    tried: Callable[[Exportable, bytes], Trial],
    model: Exportable,
    files: dict[str, bytes],
    tolerance: float = TOLERANCE,
) -> Trial:
    try:
        trial = tried(model, files[name])
    except FailedError as error:
        raise FailedError(f"{name} cannot be run: {error}") from error
    if trial.difference > tolerance:
        raise FailedError(f"{name} differs from the model by {trial.difference:.1g}, where {tolerance:g} is allowed")
    return trial


def _in_8_bits(graph: onnx.ModelProto) -> bytes:
    with tempfile.TemporaryDirectory() as folder, _quietly():
        path = Path(folder) / INT8
        # One bit stays free: else sums overflow, unseen, on processors without instructions for 8 bits.
        quantize_dynamic(graph, path, per_channel=True, reduce_range=True, extra_options={"EnableSubgraph": True})
        return path.read_bytes()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps off the screen what ONNX Runtime says of tensors that stay as they are, through the root logger."""
    root, handler = logging.getLogger(), logging.NullHandler()

    def is_for_the_user(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_NOT_FOR_THE_USER)

    root.addHandler(handler)  # without any, the root logger would be given one for good
    root.addFilter(is_for_the_user)
    try:
        yield
    finally:
        root.removeFilter(is_for_the_user)
        root.removeHandler(handler)


def _about(model: Exportable, steps: bool) -> dict[str, Any]:
    """What a program has to know of the files, in plain data."""
    return {
        "task": type(model).__name__,
        "rnn_lightning": version("rnn-lightning"),
        "labels": model.labels,
        "reads_text": model.encoder is not None,
        "keep": _steps_kept(model.encoder),
        "scaling": None if model.scaling is None else model.scaling.state(),
        "output": answer_port(model).name,
        WHOLE: {
            "inputs": _shapes(inputs_port(model, "time"), Port("lengths", ("batch",))),
            "outputs": _shapes(answer_port(model, "time")),
        },
        **({STEP: _about_steps(model)} if steps else {}),
    }


def _steps_kept(encoder: TextEncoder | None) -> tuple[int, int] | None:
    """How many tokens of a longer text are kept from its beginning and from its end; None where all are."""
    if encoder is None or encoder.max_length is None:
        return None
    return kept(encoder.max_length, encoder.truncate)


def _about_steps(model: Exportable) -> dict[str, Any]:
    state = initial_state(model)
    return {
        "inputs": _shapes(inputs_port(model), *(tensor.before for tensor in state)),
        "outputs": _shapes(answer_port(model), *(tensor.after for tensor in state)),
        "initial_state": {tensor.name: _number_or_list(tensor.initial[0]) for tensor in state},
    }


def _number_or_list(values: Tensor) -> Any:
    """One number where all are the same, as in most initial states."""
    first = values.flatten()[0]
    return (first if torch.all(values == first) else values).tolist()


def _shapes(*ports: Port) -> dict[str, list[str | int]]:
    return {port.name: list(port.shape) for port in ports}
