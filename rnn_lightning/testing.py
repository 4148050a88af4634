"""Does a recurrent layer keep the promises of `RecurrentLayer`? A test of it is `check_layer(MyLayer, my_option=3)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.padding import valid_steps, zero_padding

_LENGTHS = torch.tensor([6, 3, 0, 1])
_B, _T, _D, _H = 4, 6, 3, 8
_TOLERANCE = 1e-9

_Build = Callable[[], RecurrentLayer]
_Way = Callable[[RecurrentLayer, Tensor, State], tuple[Tensor, State]]
"""A way to go through inputs (B, T, D) from a state, to outputs and a state."""


def check_layer(layer_class: type[RecurrentLayer], **options: Any) -> None:
    """Holds a recurrent layer to the contract of `RecurrentLayer`, in double precision and in eval mode.

    Global random numbers go on as if nothing had been checked.

    Args:
        layer_class: the layer, built as `layer_class(input_size, hidden_size, **options)`.
        **options: what else it is built with.

    Raises:
        AssertionError: the layer breaks the contract; one sentence for each way in which it does.
    """
    checks = {"On a padded batch": _check_shapes}
    checks |= {situation: partial(_check_same, pairs) for situation, pairs in _SAME_RESULTS.items()}
    failures = []
    with torch.random.fork_rng(devices=[]):
        build = partial(_build, layer_class, options)
        build()  # What a wrong option raises is the caller's mistake, and no broken contract.
        for situation, check in checks.items():
            try:
                problems = check(build)
            except Exception as error:
                problems = [f"it raised {type(error).__name__}: {str(error).partition(chr(10))[0]}"]
            if problems:
                failures.append(f"\n- {situation}, {', '.join(problems)}.")
    if failures:
        raise AssertionError(f"{layer_class.__name__} breaks the contract of a recurrent layer:{''.join(failures)}")


def _build(layer_class: type[RecurrentLayer], options: dict[str, Any]) -> RecurrentLayer:
    torch.default_generator.manual_seed(0)
    layer = layer_class(_D, _H, **options).double().eval()
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            # A bias that starts at zero would hide what it does on padding.
            parameter.add_(0.1 * _random(*parameter.shape, seed=seed))
    return layer


def _check_shapes(build: _Build) -> list[str]:
    output, state = build()(_random(_B, _T, _D), _LENGTHS)
    problems = []
    if output.shape != (_B, _T, _H):
        problems.append(f"the output has shape {tuple(output.shape)}, not (B, T, H) = {(_B, _T, _H)}")
    elif (beyond := output[~valid_steps(_LENGTHS, _T)]).any():
        problems.append(f"the output beyond a length is not zero but up to {beyond.abs().max():.1e}")
    if not isinstance(state, tuple) or not all(isinstance(tensor, Tensor) for tensor in state):
        return [*problems, f"the state is no tuple of tensors but a {type(state).__name__}"]
    shapes = {k: tuple(tensor.shape) for k, tensor in enumerate(state) if tensor.shape[:1] != (_B,)}
    return problems + [f"state[{k}] has shape {shape}, not the batch ({_B}) first" for k, shape in shapes.items()]


def _run(layer: RecurrentLayer, x: Tensor, state: State | None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    output, final = layer(x, lengths, state)
    return output, final


_padded: _Way = partial(_run, lengths=_LENGTHS)


def _without_state(layer: RecurrentLayer, x: Tensor, _: State) -> tuple[Tensor, State]:
    return _run(layer, x, None, _LENGTHS)


def _after_other_calls(layer: RecurrentLayer, x: Tensor, state: State, way: _Way) -> tuple[Tensor, State]:
    _padded(layer, x, state)
    _without_state(layer, x, state)
    layer.step(x[:, 0], state)
    return way(layer, x, state)


def _nan_in_padding(layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
    return _padded(layer, x.masked_fill(~valid_steps(_LENGTHS, _T).unsqueeze(-1), torch.nan), state)


def _row_alone(layer: RecurrentLayer, x: Tensor, state: State, row: int) -> tuple[Tensor, State]:
    return _run(layer, x[[row], : _LENGTHS[row]], _rows(state, [row]))


def _row_among_others(layer: RecurrentLayer, x: Tensor, state: State, row: int, more: int) -> tuple[Tensor, State]:
    output, final = _padded(layer, functional.pad(x, (0, 0, 0, more), value=1.0), state)
    return output[[row], : _LENGTHS[row]], _rows(final, [row])


def _loop_of_steps(layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
    # By its name in the base class: the layer's own `unroll` is what is held to it.
    output, final = RecurrentLayer.unroll(layer, zero_padding(x, _LENGTHS), _LENGTHS, state)
    return zero_padding(output, _LENGTHS), final


def _two_halves(layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
    first, middle = _run(layer, x[:, : _T // 2], state)
    second, final = _run(layer, x[:, _T // 2 :], middle)
    return torch.cat((first, second), 1), final


def _step_by_step(layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for x_t in x.unbind(1):
        output, state = layer.step(x_t, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state


def _reordered(layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
    order = [2, 3, 0, 1]  # Its own inverse.
    output, final = _run(layer, x[order], _rows(state, order), _LENGTHS[order])
    return output[order], _rows(final, order)


_SAME_RESULTS: dict[str, list[tuple[_Way, _Way]]] = {
    "Called once more in eval mode": [(partial(_after_other_calls, way=way), way) for way in (_padded, _without_state)],
    "With NaN in the padding instead of numbers": [(_nan_in_padding, _padded)],
    "For a sequence in a padded batch instead of alone": [
        (partial(_row_among_others, row=row, more=more), partial(_row_alone, row=row))
        for row in range(_B)
        for more in (0, 2)
    ],
    "With all lengths 0": [(partial(_run, lengths=0 * _LENGTHS), lambda _, x, s: (x.new_zeros(_B, _T, _H), s))],
    "With T = 0": [(lambda layer, x, s: _run(layer, x[:, :0], s), lambda _, x, s: (x.new_zeros(_B, 0, _H), s))],
    "Without a state": [(_without_state, lambda layer, x, _: _padded(layer, x, layer.initial_state(x)))],
    "Against the loop over step": [(_padded, _loop_of_steps)],
    "In two halves with carried state instead of whole": [(_two_halves, _run)],
    "Step by step instead of whole": [(_step_by_step, _run)],
    "With rows of the batch and its state reordered": [(_reordered, _padded)],
}


def _check_same(pairs: list[tuple[_Way, _Way]], build: _Build) -> list[str]:
    """Holds the first way of each pair to the second, in values and gradients."""
    _, state = _run(build(), _random(_B, 3, _D, seed=1), None)  # Unlike random numbers one that the layer can be in.
    compared = [(_results(build(), way, state), _results(build(), reference, state)) for way, reference in pairs]
    problems, errors = [], {}
    for name in compared[0][1]:
        values = [(found[name], wanted[name]) for found, wanted in compared]
        odd = [f"{tuple(f.shape)}, not {tuple(w.shape)}" for f, w in values if f.shape != w.shape]
        if odd:
            problems.append(f"{name} has shape {odd[0]}")
            continue
        error = torch.cat([((f - w).abs() / w.abs().clamp(min=1.0)).flatten() for f, w in values])
        if not error.le(_TOLERANCE).all():  # NaN is not below it either.
            errors[name] = error.max()
    if errors:
        largest = torch.stack(list(errors.values())).max()
        problems.append(f"there is a difference of up to {largest:.1e} in {', '.join(errors)}")
    return problems


def _results(layer: RecurrentLayer, way: _Way, state: State) -> dict[str, Tensor]:
    """Outputs, final state, and the gradients of one weighted sum over both."""
    x = _random(_B, _T, _D).requires_grad_()
    state = tuple(s.detach().clone().requires_grad_(s.is_floating_point() or s.is_complex()) for s in state)
    output, final = way(layer, x, state)
    results = {"the output": output, **{f"the final state[{k}]": _real(tensor) for k, tensor in enumerate(final)}}
    numbers = torch.cat([value.flatten() for value in results.values()])
    loss = (numbers * torch.arange(1.0, len(numbers) + 1).cos()).sum()  # Each number has a weight of its own.
    sources = {"x": x, **{f"state[{k}]": s for k, s in enumerate(state)}, **dict(layer.named_parameters())}
    sources = {name: source for name, source in sources.items() if source.requires_grad}
    gradients = torch.autograd.grad(loss, list(sources.values()), allow_unused=True, materialize_grads=True)
    return {**results, **{f"the gradient of {name}": g for name, g in zip(sources, gradients, strict=True)}}


def _rows(state: State, rows: list[int]) -> State:
    return tuple(tensor[rows] for tensor in state)


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor.double()


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
