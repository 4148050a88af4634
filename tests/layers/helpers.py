"""What the tests of the layers share: the cells, random numbers of their own, distances relative to the norm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from rnn_lightning.layers import (
    GRU,
    LSTM,
    QRNN,
    RNN,
    SLSTM,
    SRU,
    LayerNormGRU,
    LayerNormLSTM,
    LayerNormRNN,
    MinGRU,
    MinLSTM,
    RecurrentLayer,
    State,
)
from rnn_lightning.layers.padding import valid_steps

Module = TypeVar("Module", bound=nn.Module)

IN_TORCH: dict[str, Callable[[int, int], RecurrentLayer]] = {
    "tanh": RNN,
    "relu": partial(RNN, nonlinearity="relu"),
    "lstm": LSTM,
    "gru": GRU,
}
CELLS = {
    **IN_TORCH,
    "coupled": partial(LSTM, coupled=True),
    "peephole": partial(LSTM, peephole=True),
    "coupled_peephole": partial(LSTM, coupled=True, peephole=True),
    "gru_before": partial(GRU, reset="before"),
    "rnn_ln": LayerNormRNN,
    "lstm_ln": LayerNormLSTM,
    "gru_ln": LayerNormGRU,
    "zoneout_rnn_ln": partial(LayerNormRNN, zoneout=0.2),
    "zoneout_lstm_ln": partial(LayerNormLSTM, zoneout=0.2),
    "zoneout_gru_ln": partial(LayerNormGRU, zoneout=0.2),
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "qrnn": QRNN,
    "sru": SRU,
    "slstm": SLSTM,
}
RECURRENT = [cell for cell, make in CELLS.items() if hasattr(make(1, 1), "weight_hidden")]
"""Those with a recurrent matrix."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def randomised(module: Module, seed: int = 0, dtype: torch.dtype = torch.float64) -> Module:
    """In eval mode, all parameters drawn anew, biases too: those that are zero would hide mistakes."""
    module = module.to(dtype).eval()
    for index, parameter in enumerate(module.parameters()):
        parameter.data = 0.5 * random(*parameter.shape, seed=1000 * seed + index, dtype=dtype)
    return module


def reached_state(layer: RecurrentLayer, batch_size: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> State:
    """A state that the layer can be in: that after three random steps."""
    with torch.no_grad():
        _, state = layer(random(batch_size, 3, layer.input_size, seed=seed, dtype=dtype))
    return state


def flat(state: Iterable) -> list[Tensor]:
    """All tensors of a layer's or a stack's state, in order."""
    return [state] if isinstance(state, Tensor) else [tensor for part in state for tensor in flat(part)]


def mapped(function: Callable[[Tensor], Tensor], state: Iterable) -> tuple:
    """The same function of each tensor of a layer's or a stack's state."""
    return tuple(function(part) if isinstance(part, Tensor) else mapped(function, part) for part in state)


def with_nan_padding(x: Tensor, lengths: Tensor) -> Tensor:
    return x.masked_fill(~valid_steps(lengths, x.size(1)).unsqueeze(-1), torch.nan)


def projection(tensors: Sequence[Tensor]) -> Tensor:
    """A random weighted sum: its gradient sees every number. A longer tensor's first steps have the same weights."""
    weights = [random(1000, seed=k)[: tensor.numel()].to(tensor.dtype) for k, tensor in enumerate(tensors)]
    return torch.stack([tensor.flatten() @ w for tensor, w in zip(tensors, weights, strict=True)]).sum()


def gradients(of: Tensor, sources: Iterable[Tensor]) -> list[Tensor]:
    """Zero where a result, as that of an empty sequence, does not depend on a source."""
    sources = list(sources)
    if not of.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    return list(torch.autograd.grad(of, sources, allow_unused=True, materialize_grads=True))


def assert_close(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float) -> None:
    """Holds the distance of all tensors together to `tolerance` times the norm; NaN fails.

    Numbers that cancel out to almost nothing have few digits left in 32 bits: there the norm counts as 1 at least.
    """
    assert [t.shape for t in found] == [t.shape for t in wanted]
    found_numbers, wanted_numbers = (torch.cat([t.detach().flatten() for t in side]) for side in (found, wanted))
    distance, norm = (found_numbers - wanted_numbers).norm(), wanted_numbers.norm()
    least = 0.0 if norm.dtype == torch.float64 else 1.0
    assert distance <= tolerance * norm.clamp(min=least), f"distance {distance:.1e}, norm {norm:.1e}"
