"""How a model is made: each stage, the shape behind it, and how its parameters come about.

Shapes are written as in the code: B sequences, T steps, then features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.journal import in_words, say
from rnn_lightning.layers import NgramMix, Pooling, Projected, RecurrentLayer, TokenEmbedding

_WHOLE = (RecurrentLayer, TokenEmbedding, NgramMix, Pooling)
"""Modules that are one stage, whatever they are made of."""


class Summary(Callback):
    """Prints the table before the training begins."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says what the data is, sends one batch of it through the model, and prints what was seen."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # the Trainer sets it, and does not declare it
        batch = None
        if hasattr(data, "summary") and hasattr(data, "example"):
            say(f"  {data.summary()}")
            chance = {f"val_{name}": value for name, value in getattr(data, "chance_level", dict)().items()}
            if chance:
                say(f"  chance level: {in_words(chance)}")
            batch = trainer.precision_plugin.convert_input(trainer.strategy.batch_to_device(data.example()))
        with trainer.precision_plugin.forward_context():
            lines = table(pl_module, batch)
        for line in lines:
            say(f"  {line}")


def table(model: nn.Module, batch: Batch | None = None) -> list[str]:
    """The lines of a model's summary.

    Args:
        model: any module.
        batch: with it the shape behind each stage is shown.
    """
    shapes = {} if batch is None else _shapes(model, batch)
    rows = [("stage", "what", "shape after", "how its parameters come about", "parameters")]
    for name, module in stages(model):
        count = sum(parameter.numel() for parameter in module.parameters())
        rows.append((name, describe(module), shapes.get(name, ""), formula(module), f"{count:,}"))
    total = sum(parameter.numel() for parameter in model.parameters())
    rows.append(("total", "", "", "", f"{total:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1].rjust(widths[-1])]
        )
        for row in rows
    ]


def stages(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts of a model that have parameters of their own, or change the shape, with their names."""
    for name, module in model.named_children():
        path = f"{prefix}{name}"
        is_whole = isinstance(module, _WHOLE) and not isinstance(module, Projected)
        if is_whole or next(module.parameters(recurse=False), None) is not None:
            yield path, module
        else:
            yield from stages(module, f"{path}.")


def describe(module: nn.Module) -> str:
    """A stage in a few words: LSTM 3 -> 128."""
    kind = type(module).__name__
    if isinstance(module, RecurrentLayer):
        return f"{kind} {module.input_size} -> {module.hidden_size}"
    if isinstance(module, TokenEmbedding):
        return f"{kind} {module.vectors.num_embeddings:,} -> {module.vectors.embedding_dim}"
    if isinstance(module, Pooling):
        return f"{kind} {' + '.join(module.parts)}"
    if isinstance(module, NgramMix):
        return f"{kind} {len(module.ngrams.keys):,} -> {len(module.ngrams.offset)}"
    if isinstance(module, nn.Linear):
        return f"{kind} {module.in_features} -> {module.out_features}"
    return kind


def formula(module: nn.Module) -> str:
    """How many parameters a stage has, and why: 4 x (128x3 + 128x128 + 128)."""
    shapes = [tuple(parameter.shape) for parameter in module.parameters()]
    if not isinstance(module, RecurrentLayer) or not shapes:
        return _sum(shapes)
    gates = max(shape[0] // module.hidden_size for shape in shapes)
    if gates <= 1:
        return _sum(shapes)
    shared = [shape for shape in shapes if shape[0] == gates * module.hidden_size]
    others = [shape for shape in shapes if shape[0] != gates * module.hidden_size]
    each = _sum([(shape[0] // gates, *shape[1:]) for shape in shared])
    return f"{gates} x ({each})" + (f" + {_sum(others)}" if others else "")


def _sum(shapes: list[tuple[int, ...]]) -> str:
    return " + ".join("x".join(map(str, shape)) or "1" for shape in shapes)


@torch.no_grad()
def _shapes(model: nn.Module, batch: Batch) -> dict[str, str]:
    """The shape behind each stage when this batch goes through, in words."""
    found: dict[str, str] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found[name] = _in_words(output if isinstance(output, Tensor) else output[0], batch)

        return hook

    hooks = [module.register_forward_hook(remember(name)) for name, module in stages(model)]
    was_training = model.training
    model.eval()
    model(batch.inputs, batch.lengths)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return found


def _in_words(output: Tensor, batch: Batch) -> str:
    letters = ["B", "T"] if output.dim() == 3 and output.size(1) == batch.inputs.size(1) else ["B"]
    return f"({', '.join([*letters, *map(str, output.shape[len(letters) :])])})"
