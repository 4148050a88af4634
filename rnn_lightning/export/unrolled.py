"""Recurrent layers within an ONNX graph: the operators LSTM, GRU and RNN, or any layer's step within a Scan.

B sequences, T steps, D input features, H output features, G gates. ONNX wants the steps first: x (T, B, D).
"""

from __future__ import annotations

from typing import Any

import onnx
import torch
from torch import Tensor, nn

from rnn_lightning.export.graph import Port, to_onnx
from rnn_lightning.layers import GRU, LSTM, RNN, Projected, RecurrentLayer, State, Transformer
from rnn_lightning.layers.base import where_row
from rnn_lightning.layers.padding import valid_steps, zero_padding

_DOMAIN = "rnn_lightning"


def unroll_layers(module: nn.Module) -> list[RecurrentLayer]:
    """Puts an ONNX form in the place of each recurrent layer of a module; a Transformer is traced as it is.

    Returns:
        The layers whose steps `fill_in` is to put into the graph.
    """
    stepwise: list[RecurrentLayer] = []
    _unroll(module, stepwise)
    return stepwise


def _unroll(parent: nn.Module, stepwise: list[RecurrentLayer]) -> None:
    for name, module in parent.named_children():
        if isinstance(module, Projected) or not isinstance(module, RecurrentLayer):
            _unroll(module, stepwise)
        elif operator := _as_operator(module):
            setattr(parent, name, operator)
        elif not isinstance(module, Transformer):
            setattr(parent, name, _InScan(module, len(stepwise)))
            stepwise.append(module)


def fill_in(model: onnx.ModelProto, stepwise: list[RecurrentLayer]) -> None:
    """Gives each Scan of a graph its body: a step of the layer that it stands for."""
    nodes = [node for node in model.graph.node if node.domain == _DOMAIN]
    for number, node in enumerate(nodes):
        (index,) = (attribute.i for attribute in node.attribute)
        body = onnx.compose.add_prefix(_step_graph(stepwise[index]), f"step_{number}/").graph
        del node.attribute[:]
        node.domain = ""
        node.attribute.append(onnx.helper.make_attribute("body", body))
        node.attribute.append(onnx.helper.make_attribute("num_scan_inputs", 2))
    kept = [opset for opset in model.opset_import if opset.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)


class _Unrolled(nn.Module):
    """Stands in the place of a layer. The state that it returns means nothing: nobody asks for it."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        x = zero_padding(x, lengths)
        state = self.layer.initial_state(x)
        output = self.all_steps(x.transpose(0, 1), lengths, state).transpose(0, 1)
        return zero_padding(output, lengths), state

    def all_steps(self, x: Tensor, lengths: Tensor, state: State) -> Tensor:
        """From x (T, B, D) to the outputs (T, B, H)."""
        raise NotImplementedError


class _InScan(_Unrolled):
    """Any layer, step by step."""

    def __init__(self, layer: RecurrentLayer, index: int) -> None:
        super().__init__(layer)
        self.index = index

    def all_steps(self, x: Tensor, lengths: Tensor, state: State) -> Tensor:
        valid = valid_steps(lengths, x.size(0)).transpose(0, 1)
        arguments = (self.index, self.layer.hidden_size, x, valid, *state)
        output: Tensor = _Scan.apply(*arguments)  # type: ignore[no-untyped-call]  # torch does not declare it
        return output


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, index: int, hidden_size: int, x: Tensor, valid: Tensor, *state: Tensor) -> Tensor:
        return x.new_zeros(x.size(0), x.size(1), hidden_size)

    @staticmethod
    def symbolic(g: Any, index: int, hidden_size: int, x: Any, valid: Any, *state: Any) -> Any:
        *_, output = g.op(f"{_DOMAIN}::Scan", *state, x, valid, index_i=index, outputs=len(state) + 1)
        return output.setType(x.type().with_sizes([None, None, hidden_size]))


class _OneStep(nn.Module):
    """The body of a Scan: the states, an input (B, D) and whether it is valid (B,) to the new states and the output."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        *state, x_t, valid = arguments
        output, new = self.layer.step(x_t, tuple(state))
        return *(where_row(valid, n, s) for n, s in zip(new, state, strict=True)), output


def _step_graph(layer: RecurrentLayer) -> onnx.ModelProto:
    x_t, valid = torch.zeros(2, layer.input_size), torch.ones(2, dtype=torch.bool)
    state = layer.initial_state(x_t)
    shapes = [("batch", *tensor.shape[1:]) for tensor in state]
    states = [Port(f"state_{index}", shape) for index, shape in enumerate(shapes)]
    return to_onnx(
        f"a step of the layer {type(layer).__name__}",
        _OneStep(layer),
        (*state, x_t, valid),
        [*states, Port("x", ("batch", layer.input_size)), Port("valid", ("batch",))],
        [*(Port(f"new_{name}", shape) for name, shape in states), Port("output", ("batch", layer.hidden_size))],
    )


class _Operator(_Unrolled):
    """A layer that ONNX has an operator for, which takes the lengths too.

    Args:
        layer: the layer.
        operator: its name.
        order: where the operator's gates stand among the layer's.
        bias_hidden: the second bias of its gates, in the layer's order (G H,).
        attributes: of the operator, besides the size.
    """

    def __init__(
        self, layer: RNN | LSTM | GRU, operator: str, order: list[int], bias_hidden: Tensor, **attributes: Any
    ) -> None:
        super().__init__(layer)
        self.operator = operator
        self.attributes = {"hidden_size_i": layer.hidden_size, **attributes}

        def reordered(blocks: Tensor) -> Tensor:
            return torch.cat([blocks.detach().chunk(len(order))[gate] for gate in order])

        self.register_buffer("input", reordered(layer.weight_input).unsqueeze(0))
        self.register_buffer("hidden", reordered(layer.weight_hidden).unsqueeze(0))
        self.register_buffer("bias", torch.cat((reordered(layer.bias), reordered(bias_hidden))).unsqueeze(0))

    def all_steps(self, x: Tensor, lengths: Tensor, state: State) -> Tensor:
        weights = (self.input, self.hidden, self.bias)
        initial = (tensor.unsqueeze(0) for tensor in state)
        arguments = (self.operator, self.attributes, x, *weights, lengths.int(), *initial)
        output: Tensor = _Kernel.apply(*arguments)  # type: ignore[no-untyped-call]  # torch does not declare it
        return output.squeeze(1)


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, operator: str, attributes: dict[str, Any], x: Tensor, *others: Tensor) -> Tensor:
        return x.new_zeros(x.size(0), 1, x.size(1), attributes["hidden_size_i"])

    @staticmethod
    def symbolic(g: Any, operator: str, attributes: dict[str, Any], x: Any, *others: Any) -> Any:
        output = g.op(operator, x, *others, **attributes)
        return output.setType(x.type().with_sizes([None, 1, None, attributes["hidden_size_i"]]))


def _as_operator(layer: RecurrentLayer) -> _Operator | None:
    """The layer as one operator of ONNX, several times as fast as a Scan; None where there is none for it."""
    # A class of one's own that is derived from one of these may have other equations.
    if type(layer) is LSTM and not layer.coupled and layer.weight_peephole is None:
        return _Operator(layer, "LSTM", [0, 3, 1, 2], torch.zeros_like(layer.bias))
    if type(layer) is RNN:
        activation = {"tanh": "Tanh", "relu": "Relu"}[layer.nonlinearity]
        return _Operator(layer, "RNN", [0], torch.zeros_like(layer.bias), activations_s=[activation])
    if type(layer) is GRU:
        candidate = layer.bias_candidate
        bias = torch.zeros_like(layer.bias)
        if candidate is not None:
            bias[-layer.hidden_size :] = candidate.detach()
        return _Operator(layer, "GRU", [1, 0, 2], bias, linear_before_reset_i=int(candidate is not None))
    return None
