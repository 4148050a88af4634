"""The parts of a network, made as the hyper-parameters of a task ask for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

from rnn_lightning import registry
from rnn_lightning.layers import (
    LSTM,
    LayerNormLSTM,
    Projected,
    RecurrentLayer,
    RecurrentStack,
    TokenEmbedding,
    Transformer,
)
from rnn_lightning.layers.init import torch_uniform_

InitName = Literal["default", "torch"]
_STACK_OPTIONS = ("residual", "prenorm", "locked_dropout", "weight_dropout", "projection_size")
"""Hyper-parameters that a `RecurrentStack` takes by the same names."""
_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "bool": ("true or false", (bool,)),
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
}
"""Kinds of a layer's options: in words, and what is taken for one."""


def layer_maker(cell: str, options: dict[str, Any] | None) -> Callable[[int, int], RecurrentLayer]:
    """What makes a layer of this short name from its input size and its hidden size.

    Raises:
        ValueError: there is no such layer, or it does not have one of the options, or an option is of another kind.
    """
    layer_class = registry.resolve("layers", cell)
    parameters = inspect.signature(layer_class).parameters
    known = [name for name in parameters if name not in ("input_size", "hidden_size")]
    for name, value in (options or {}).items():
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"the layer '{cell}' has no option '{name}'; {has}{registry.did_you_mean(name, known)}")
        hint = parameters[name].annotation  # a string, where annotations are not evaluated
        kind, taken = _KINDS.get(getattr(hint, "__name__", str(hint)), ("", (object,)))
        # true is 1 for Python, and not for people.
        if not isinstance(value, taken) or (isinstance(value, bool) and int in taken):
            raise ValueError(f"the option '{name}' of the layer '{cell}' wants {kind}, not '{value}'")
    return partial(layer_class, **(options or {}))


def make_embedding(hparams: Mapping[str, Any], vocab_size: int) -> TokenEmbedding:
    """The embedding that a task's hyper-parameters ask for.

    Raises:
        ValueError: a value is out of range.
    """
    return TokenEmbedding(
        vocab_size,
        hparams["embedding_size"],
        hparams["embedding_dropout"],
        hparams["word_dropout"],
        hparams["freeze_vectors"],
    )


def make_recurrent(hparams: Mapping[str, Any], input_size: int) -> RecurrentStack:
    """The recurrent layers that a task's hyper-parameters ask for.

    Raises:
        ValueError: a value is out of range, or a name is unknown.
    """
    stack = RecurrentStack(
        layer_maker(hparams["cell"], hparams["cell_options"]),
        input_size,
        hparams["hidden_size"],
        hparams["num_layers"],
        hparams["bidirectional"],
        hparams["layer_dropout"],
        **{name: hparams[name] for name in _STACK_OPTIONS},
    )
    if hparams["init"] not in get_args(InitName):
        raise ValueError(f"init is '{hparams['init']}', not one of {', '.join(get_args(InitName))}")
    if hparams["init"] == "torch":
        _begin_as_torch(stack, hparams["cell_options"] or {})
    return stack


def _begin_as_torch(stack: RecurrentStack, cell_options: Mapping[str, Any]) -> None:
    for layer in stack.modules():
        if isinstance(layer, Transformer):
            raise ValueError("init is 'torch', but the linear maps of a Transformer begin as torch's anyway")
        if isinstance(layer, RecurrentLayer) and not isinstance(layer, Projected):
            torch_uniform_(layer, layer.hidden_size)
            if "forget_bias" in cell_options and isinstance(layer, LSTM | LayerNormLSTM):
                layer.open_forget_gate()
