"""From a torch module to an ONNX graph: the one place that knows torch's exporter.

It is the one that traces (`dynamo=False`), since the newer one keeps the number of steps that it was shown.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from torch import Tensor, nn

OPSET = 18
"""The version of ONNX's operators: the first in which Split counts its parts."""
_CHUNK = "prim::ConstantChunk"
_NOT_FOR_THE_USER = (
    # Layers look at the shapes that they are given. What was written is compared with torch, at other shapes.
    r"Converting a tensor to a Python (boolean|integer) might cause the trace to be incorrect",
    r"Using len to get tensor shape might cause the trace to be incorrect",
    # Wrong for negative indices, and none here is one.
    r"Exporting aten::index operator of advanced indexing",
    # A missed optimisation, of the reversal of sequences.
    r"Constant folding - Only steps=1 can be constant folded",
    # That this exporter is to go: known, and not the user's concern.
    r"You are using the legacy TorchScript-based ONNX export",
    r"The feature will be removed",
)
"""Warnings of the exporter that a user can do nothing about: how each begins, and why."""


class Port(NamedTuple):
    """An input or an output of a graph.

    Attributes:
        name: what it is called.
        shape: its sizes; a word where a size is free.
    """

    name: str
    shape: tuple[str | int, ...]


def to_onnx(
    what: str, module: nn.Module, arguments: Sequence[Tensor], inputs: Sequence[Port], outputs: Sequence[Port]
) -> onnx.ModelProto:
    """The module as an ONNX graph.

    Args:
        what: the module in words, for error texts.
        module: has tensors as arguments and results.
        arguments: an example of the inputs.
        inputs: what they are.
        outputs: what the results are.

    Raises:
        ValueError: the module does something that ONNX has no operator for.
    """
    ports = [*inputs, *outputs]
    free = {port.name: {d: size for d, size in enumerate(port.shape) if isinstance(size, str)} for port in ports}
    module.eval()  # the exporter gives every part of it back the mode of the whole
    with tempfile.TemporaryDirectory() as folder, _quietly(), _mute(), _split_as_one_operator(), torch.no_grad():
        file = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                tuple(arguments),
                file,
                input_names=[port.name for port in inputs],
                output_names=[port.name for port in outputs],
                dynamic_axes={name: sizes for name, sizes in free.items() if sizes},
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ValueError(f"{what} cannot be written as ONNX: {_first_line(error)}") from error
        model = onnx.load(file)
    kinds = [value.type.tensor_type.elem_type for value in model.graph.output]
    del model.graph.output[:]
    for port, kind in zip(outputs, kinds, strict=True):
        model.graph.output.append(onnx.helper.make_tensor_value_info(port.name, kind, port.shape))
    return model


def content(model: onnx.ModelProto) -> bytes:
    """What a file of the model holds."""
    found: bytes = model.SerializeToString()
    return found


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _NOT_FOR_THE_USER:
            warnings.filterwarnings("ignore", message)
        yield


@contextmanager
def _mute() -> Iterator[None]:
    """Keeps the graph off the screen that the exporter prints, past Python, where it cannot go on."""
    sys.stdout.flush()
    screen, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(screen, 1)
        os.close(screen)
        os.close(nowhere)


@contextmanager
def _split_as_one_operator() -> Iterator[None]:
    """Torch's exporter makes of `chunk` a dozen operators that work out sizes: time that each step would take again."""

    def split(g: Any, x: Any, chunks: int, dim: int) -> Any:
        return g.op("Split", x, axis_i=dim, num_outputs_i=chunks, outputs=chunks)

    torch.onnx.register_custom_op_symbolic(_CHUNK, split, OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(_CHUNK, OPSET)
