"""What a model takes over from models that were trained before: an embedding of tokens, and recurrent layers.

As in the fine-tuning of language models (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch.optim import Optimizer

from rnn_lightning.batch import UNKNOWN
from rnn_lightning.layers import RecurrentStack, TokenEmbedding

if TYPE_CHECKING:
    from rnn_lightning.tasks.base import SequenceTask

_log = logging.getLogger("rnn_lightning")


def check_options(hparams: Mapping[str, Any]) -> None:
    """Looks at the options that belong to `init_from`.

    Raises:
        ValueError: one is out of range, or stands without it.
    """
    if hparams["init_lr"] <= 0:
        raise ValueError(f"init_lr is {hparams['init_lr']}; it must be above 0")
    for name, default in (("init_lr", 1.0), ("gradual_unfreezing", False)):
        if hparams[name] != default and not hparams["init_from"]:
            raise ValueError(f"{name} is {hparams[name]}, but the model begins with nothing trained: give init_from")
    if hparams["init_from"] and hparams["vectors"] is not None:
        raise ValueError("vectors and init_from both say what the embedding begins with: give one of them")


def start_from(model: SequenceTask, paths: Sequence[str]) -> None:
    """Takes over the embedding of tokens, word by word, and the recurrent layers.

    Args:
        model: what begins so; it is built already.
        paths: a run folder or a checkpoint. The layers of a second one become the backward direction.

    Raises:
        ValueError: one cannot be loaded, or its layers or tokens are of another kind.
    """
    from rnn_lightning.tasks.loading import load

    stack = _stack(model)
    if len(paths) > 1 + stack.bidirectional:
        both = "a bidirectional one two, the forward and the backward one" if stack.bidirectional else "this one"
        raise ValueError(f"init_from names {len(paths)} models: {both} begins with one for each direction")
    for path, direction in zip(paths, ("forward_layer", "backward_layer"), strict=False):
        source = load(path)
        if direction == "forward_layer":
            _take_tokens(model, source, path)
        _take_layers(model, source, path, direction)


def made_with_shares(model: SequenceTask, make: Callable[[list[dict[str, Any]]], Optimizer]) -> Optimizer:
    """The optimiser of all parameters, those that `init_from` gave with their share of the learning rate.

    Args:
        model: whose parameters.
        make: makes an optimiser from parameter groups.
    """
    share = model.hparams.get("init_lr", 1.0)
    if share == 1.0:
        return make([{"params": list(model.parameters())}])
    begun = [*_embedding(model), _stack(model)]
    taken = {id(parameter): parameter for module in begun for parameter in module.parameters()}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    optimizer = make([{"params": rest}, {"params": list(taken.values())}])
    optimizer.param_groups[1]["lr"] *= share
    return optimizer


def hold_back(model: SequenceTask, epoch: int) -> None:
    """Gradual unfreezing: in its first epoch only what is new is trained, in each further one a layer more.

    From the topmost recurrent layer down to the embedding. The gradients are dropped rather than never computed, since
    the processes of a training exchange those of all parameters.

    Args:
        model: whose gradients.
        epoch: the present one, counted from 0.
    """
    parts = [*reversed(_stack(model).layers), *_embedding(model)]
    for part in parts[epoch:]:
        for parameter in part.parameters():
            parameter.grad = None


def _take_tokens(model: SequenceTask, source: SequenceTask, path: str) -> None:
    """The vector of each word that the source knows; all others get that of its unknown one."""
    if model.encoder is None and source.encoder is None:
        return
    if model.encoder is None or source.encoder is None or model.encoder.unit != source.encoder.unit:
        raise ValueError(f"init_from {path}: it was trained on {_inputs(source)}, this is to be on {_inputs(model)}")
    own, theirs = (_embedding(one)[0].vectors.weight for one in (model, source))
    if own.size(1) != theirs.size(1):
        raise ValueError(
            f"init_from {path}: its tokens have {theirs.size(1)} features, here they have {own.size(1)}: "
            f"give --model.embedding_size {theirs.size(1)}"
        )
    places = {word: index for index, word in enumerate(source.encoder.words, UNKNOWN + 1)}
    rows = [places.get(word, UNKNOWN) for word in model.encoder.words]
    with torch.no_grad():
        own[UNKNOWN:] = theirs[torch.tensor([UNKNOWN, *rows])]
    known = sum(row != UNKNOWN for row in rows)
    rank_zero_only(_log.info)(
        "Beginning with %s: it knows %s of the %s words of the vocabulary (%.1f %%)",
        *(path, f"{known:,}", f"{len(rows):,}", 100 * known / max(len(rows), 1)),
    )


def _take_layers(model: SequenceTask, source: SequenceTask, path: str, direction: str) -> None:
    own, theirs = _stack(model), _stack(source)
    here, there = own.state_dict(), theirs.state_dict()
    if own.bidirectional and not theirs.bidirectional:
        there = {_within(name, direction): value for name, value in there.items()}
    if any(name not in here or here[name].shape != value.shape for name, value in there.items()):
        options = {name: source.hparams[name] for name in ("cell", "hidden_size", "num_layers", "projection_size")}
        given = " ".join(f"--model.{name} {value}" for name, value in options.items() if value is not None)
        raise ValueError(
            f"init_from {path}: its recurrent layers are {_layers(source)}, here they are {_layers(model)}: "
            f"give {given}, and all else that shapes them"
        )
    own.load_state_dict({**here, **there})


def _within(name: str, direction: str) -> str:
    """layers.0.weight -> layers.0.forward_layer.weight."""
    kind, index, rest = name.split(".", 2)
    return f"{kind}.{index}.{direction}.{rest}" if kind == "layers" else name


def _stack(model: SequenceTask) -> RecurrentStack:
    stack = getattr(model, "recurrent", None)
    if not isinstance(stack, RecurrentStack):
        raise ValueError(f"{type(model).__name__} has no recurrent layers that another model could begin with")
    return stack


def _embedding(model: SequenceTask) -> list[TokenEmbedding]:
    """The embedding of tokens, where there is one."""
    return [module for module in [getattr(model, "embedding", None)] if isinstance(module, TokenEmbedding)]


def _layers(model: SequenceTask) -> str:
    h, stack = model.hparams, _stack(model)
    both = "bidirectional " if stack.bidirectional else ""
    return f"{both}{h['num_layers']} x {h['cell']} {h['hidden_size']} on {stack.input_size} features"


def _inputs(model: SequenceTask) -> str:
    return "features" if model.encoder is None else f"text by the {model.encoder.unit}"
