"""Long short-term memory with layer normalisation (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450).

B sequences, T steps, D input features, H hidden features. State: (h, c), both (B, H). s is the logistic function.

    i = s(LN(W_i x_t) + LN(U_i h_{t-1}) + b_i)         input gate
    f = s(LN(W_f x_t) + LN(U_f h_{t-1}) + b_f)         forget gate: 1 keeps the memory
    o = s(LN(W_o x_t) + LN(U_o h_{t-1}) + b_o)         output gate
    g = tanh(LN(W_g x_t) + LN(U_g h_{t-1}) + b_g)      candidate
    c_t = f * c_{t-1} + i * g                          the memory, carried on as it is
    h_t = o * tanh(LN(c_t) + b_c)

The output is h_t. LN makes mean 0 and variance 1 over the H features, then multiplies by a gain (H,), each LN by its
own: every gate is normalised by itself, where the paper's equations 20 to 22 take all four together. The blocks of
W (4H, D), U (4H, H), b and the gains of both (4H,) stand in the order i, f, o, g. What normalisation does to the
inputs, and what the two options drop in training, is told in `normalised.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from rnn_lightning.layers.base import State
from rnn_lightning.layers.init import check_finite
from rnn_lightning.layers.layer_norm import normalise, normalise_backward, normalise_blocks, normalise_blocks_backward
from rnn_lightning.layers.normalised import NormalisedLayer
from rnn_lightning.layers.padding import last_valid
from rnn_lightning.layers.product import linear, product


class LayerNormLSTM(NormalisedLayer):
    """Long short-term memory with layer normalisation.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
        recurrent_dropout: share of the features of h that the matrix U does not see, the same ones all along.
        zoneout: share of the features of h that a step leaves as they were.
        forget_bias: what the forget gate's bias begins with; above 0 the gate begins open.

    Raises:
        ValueError: a size is not positive, a share is outside [0, 1), or forget_bias is no finite number.
    """

    num_states = 2
    num_gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent_dropout, zoneout)
        check_finite("forget_bias", forget_bias)
        self.forget_bias = forget_bias
        self.gain_memory = nn.Parameter(torch.empty(hidden_size))
        self.bias_memory = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As the LSTM: Xavier, orthogonal, biases 0 but for the forget gate's; all gains 1."""
        super().reset_parameters()
        nn.init.ones_(self.gain_memory)
        nn.init.zeros_(self.bias_memory)
        self.open_forget_gate()

    @torch.no_grad()
    def open_forget_gate(self) -> None:
        """Gives the forget gate the bias that it is to begin with."""
        _, forget, _, _ = self.bias.chunk(4)
        forget.fill_(self.forget_bias)

    def after_norm(self, p_t: Tensor, r_t: Tensor, state: State) -> State:
        _, c = state
        i, f, o, g = (p_t + r_t).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        normalised = functional.layer_norm(c, (self.hidden_size,), self.gain_memory, self.bias_memory)
        h = torch.sigmoid(o) * torch.tanh(normalised)
        return h, c

    def unroll(self, x: Tensor, lengths: Tensor | None, state: State) -> tuple[Tensor, State]:
        if self.zoneout > 0.0 or (self.training and self.recurrent_dropout > 0.0):
            return super().unroll(x, lengths, state)
        weights = (self.weight_hidden, self.bias)
        norms = (self.gain_input, self.gain_hidden, self.gain_memory, self.bias_memory)
        exact = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            p = linear(x.to(exact).transpose(0, 1).contiguous(), self.weight_input.to(exact))
            arguments = (tensor.to(exact) for tensor in (p, *state, *weights, *norms))
            found = _Steps.apply(*arguments)  # type: ignore[no-untyped-call]  # torch does not declare it
        h, c = (tensor.transpose(0, 1).to(before.dtype) for tensor, before in zip(found, state, strict=True))
        return h, (last_valid(h, lengths, state[0]), last_valid(c, lengths, state[1]))


class _Steps(torch.autograd.Function):
    """All steps after the products with x, with the gradient written by hand.

    In the letters of the equations; p is W x_t, r U h_{t-1}, n_p and n_r what LN makes of them before the gain, a what
    the gates are made of, m tanh(LN(c_t) + b_c), and `d_a` the gradient of a.

    What is multiplied element by element is done step by step, in memory that the processor has at hand; the products
    with x and the gradient of U are one product each over all steps.
    """

    @staticmethod
    def forward(
        ctx: Any,
        p: Tensor,
        h_0: Tensor,
        c_0: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        gain_input: Tensor,
        gain_hidden: Tensor,
        gain_memory: Tensor,
        bias_memory: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """From p (T, B, 4H), h_0 and c_0 (B, H) to h and c of all steps, both (T, B, H)."""
        h, c = p.new_empty(len(p), *h_0.shape), p.new_empty(len(p), *c_0.shape)
        h_before, c_before = h_0, c_0
        kept: list[Tensor] = []
        for p_t, h_t, c_t in zip(p, h, c, strict=True):
            n_p, scale_p = normalise_blocks(p_t, 4)
            n_r, scale_r = normalise_blocks(product(h_before, weight_hidden), 4)
            a = torch.addcmul(bias, n_p, gain_input).addcmul_(n_r, gain_hidden)
            i, f, o, g = _gates_(a)
            torch.mul(f, c_before, out=c_t).addcmul_(i, g)
            m, *moments = normalise(c_t, gain_memory, bias_memory)
            torch.mul(o, _tanh_(m), out=h_t)
            kept += (n_p, scale_p, n_r, scale_r, a, m, *moments)
            h_before, c_before = h_t, c_t
        ctx.save_for_backward(h_0, c_0, h, c, weight_hidden, gain_input, gain_hidden, gain_memory, *kept)
        ctx.set_materialize_grads(False)
        return h, c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor | None, grad_c: Tensor | None) -> tuple[Tensor, ...]:
        h_0, c_0, h, c, weight_hidden, gain_input, gain_hidden, gain_memory, *kept = ctx.saved_tensors
        weight_back = weight_hidden.T.contiguous()
        d_h, d_c = torch.zeros_like(h_0), torch.zeros_like(c_0)
        d_p, d_r = h.new_empty(2, *h.shape[:2], len(weight_hidden))
        d_a = torch.empty_like(d_p[0])
        d_i, d_f, d_o, d_g = d_a.chunk(4, 1)
        d_bias, d_gain_input, d_gain_hidden = (torch.zeros_like(d_a) for _ in range(3))
        d_gain_memory, d_bias_memory = torch.zeros_like(gain_memory), torch.zeros_like(gain_memory)
        for t in reversed(range(len(h))):
            n_p, scale_p, n_r, scale_r, gates, m, *moments = kept[8 * t : 8 * (t + 1)]
            i, f, o, g = gates.chunk(4, 1)
            if grad_h is not None:
                d_h += grad_h[t]
            if grad_c is not None:
                d_c += grad_c[t]
            d_m = d_h * o
            _tanh_backward_(d_m, m)
            d_memory, of_gain, of_bias = normalise_backward(d_m, c[t], moments, gain_memory)
            d_gain_memory += of_gain
            d_bias_memory += of_bias
            d_c += d_memory
            c_before = c[t - 1] if t > 0 else c_0
            for gradient, one, other in ((d_i, d_c, g), (d_f, d_c, c_before), (d_o, d_h, m), (d_g, d_c, i)):
                torch.mul(one, other, out=gradient)
            _gates_backward_(d_a, gates)
            d_c *= f
            d_bias += d_a
            d_gain_input.addcmul_(d_a, n_p)
            d_gain_hidden.addcmul_(d_a, n_r)
            normalise_blocks_backward(d_a * gain_input, n_p, scale_p, out=d_p[t])
            normalise_blocks_backward(d_a * gain_hidden, n_r, scale_r, out=d_r[t])
            d_h = product(d_r[t], weight_back)
        h_before = torch.cat((h_0.unsqueeze(0), h[:-1]))
        d_weight_hidden = d_r.flatten(0, 1).T @ h_before.flatten(0, 1)
        summed = (d_bias.sum(0), d_gain_input.sum(0), d_gain_hidden.sum(0), d_gain_memory, d_bias_memory)
        return d_p, d_h, d_c, d_weight_hidden, *summed


def _gates_(a: Tensor) -> tuple[Tensor, ...]:
    """i, f, o and g, made of a (B, 4H) in its own memory."""
    three_gates, candidate = _three_and_one(a)
    three_gates.sigmoid_()
    _tanh_(candidate)
    return a.chunk(4, 1)


def _gates_backward_(grad: Tensor, gates: Tensor) -> None:
    """Makes the gradient of the gates (B, 4H) that of a, in its own memory."""
    d_three_gates, d_candidate = _three_and_one(grad)
    three_gates, candidate = _three_and_one(gates)
    torch.ops.aten.sigmoid_backward.grad_input(d_three_gates, three_gates, grad_input=d_three_gates)
    _tanh_backward_(d_candidate, candidate)


def _tanh_(x: Tensor) -> Tensor:
    """Tanh in the memory of x, as 2 s(2 x) - 1: on a CPU `torch.tanh` takes more than twice as long."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def _tanh_backward_(grad: Tensor, tanh: Tensor) -> None:
    torch.ops.aten.tanh_backward.grad_input(grad, tanh, grad_input=grad)


def _three_and_one(blocks: Tensor) -> tuple[Tensor, ...]:
    """The blocks of i, f and o together (B, 3H), and that of g (B, H)."""
    return blocks.tensor_split((blocks.size(1) // 4 * 3,), 1)
