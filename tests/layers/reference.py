"""Recurrent layers in NumPy, straight from their equations: one sequence, step by step, nothing shared with torch.

T steps, D input features, H hidden features; x is (T, D), a state (H,). All return outputs (T, H) and the last state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logistic(a: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-a))


def normalised(a: Array) -> Array:
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5)


def relu(a: Array) -> Array:
    return np.maximum(a, 0.0)


def rnn(
    x: Array, state: tuple[Array], weights: dict[str, Array], activation: Callable[[Array], Array] = np.tanh
) -> tuple[Array, tuple[Array]]:
    (h,) = state
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        h = activation(weights["weight_input"] @ x_t + weights["weight_hidden"] @ h + weights["bias"])
        outputs[t] = h
    return outputs, (h,)


def lstm(x: Array, state: tuple[Array, Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
    """Plain, and with peepholes where there are weights for them."""
    h, c = state
    p_i, p_f, p_o = np.split(weights.get("weight_peephole", np.zeros(3 * len(h))), 3)
    w_i, w_f, w_g, w_o = np.split(weights["weight_input"], 4)
    u_i, u_f, u_g, u_o = np.split(weights["weight_hidden"], 4)
    b_i, b_f, b_g, b_o = np.split(weights["bias"], 4)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        i = logistic(w_i @ x_t + u_i @ h + b_i + p_i * c)
        f = logistic(w_f @ x_t + u_f @ h + b_f + p_f * c)
        g = np.tanh(w_g @ x_t + u_g @ h + b_g)
        c = f * c + i * g
        o = logistic(w_o @ x_t + u_o @ h + b_o + p_o * c)
        h = o * np.tanh(c)
        outputs[t] = h
    return outputs, (h, c)


def coupled_lstm(x: Array, state: tuple[Array, Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
    """Plain, and with peepholes where there are weights for them."""
    h, c = state
    p_f, p_o = np.split(weights.get("weight_peephole", np.zeros(2 * len(h))), 2)
    w_f, w_g, w_o = np.split(weights["weight_input"], 3)
    u_f, u_g, u_o = np.split(weights["weight_hidden"], 3)
    b_f, b_g, b_o = np.split(weights["bias"], 3)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        f = logistic(w_f @ x_t + u_f @ h + b_f + p_f * c)
        c = f * c + (1.0 - f) * np.tanh(w_g @ x_t + u_g @ h + b_g)
        h = logistic(w_o @ x_t + u_o @ h + b_o + p_o * c) * np.tanh(c)
        outputs[t] = h
    return outputs, (h, c)


def gru(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    """With the reset gate applied after the matrix product, hence a bias inside the reset."""
    (h,) = state
    w_r, w_z, w_n = np.split(weights["weight_input"], 3)
    u_r, u_z, u_n = np.split(weights["weight_hidden"], 3)
    b_r, b_z, b_n = np.split(weights["bias"], 3)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        r = logistic(w_r @ x_t + u_r @ h + b_r)
        z = logistic(w_z @ x_t + u_z @ h + b_z)
        n = np.tanh(w_n @ x_t + b_n + r * (u_n @ h + weights["bias_candidate"]))
        h = (1.0 - z) * n + z * h
        outputs[t] = h
    return outputs, (h,)


def gru_before(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    """With the reset gate applied before the matrix product."""
    (h,) = state
    w_r, w_z, w_n = np.split(weights["weight_input"], 3)
    u_r, u_z, u_n = np.split(weights["weight_hidden"], 3)
    b_r, b_z, b_n = np.split(weights["bias"], 3)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        r = logistic(w_r @ x_t + u_r @ h + b_r)
        z = logistic(w_z @ x_t + u_z @ h + b_z)
        h = (1.0 - z) * np.tanh(w_n @ x_t + u_n @ (r * h) + b_n) + z * h
        outputs[t] = h
    return outputs, (h,)


def normalised_gates(x_t: Array, h: Array, weights: dict[str, Array]) -> list[tuple[Array, Array]]:
    """Of each gate, normalised by itself, the part of the input with its bias and the part of the state."""
    names = ("weight_input", "gain_input", "weight_hidden", "gain_hidden", "bias")
    blocks = zip(*(np.split(weights[name], len(weights["bias"]) // len(h)) for name in names), strict=True)
    return [(gain_w * normalised(w @ x_t) + b, gain_u * normalised(u @ h)) for w, gain_w, u, gain_u, b in blocks]


def rnn_ln(
    x: Array, state: tuple[Array], weights: dict[str, Array], zoneout: float = 0.0
) -> tuple[Array, tuple[Array]]:
    (h,) = state
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        ((p, r),) = normalised_gates(x_t, h, weights)
        h = (1.0 - zoneout) * np.tanh(p + r) + zoneout * h
        outputs[t] = h
    return outputs, (h,)


def lstm_ln(
    x: Array, state: tuple[Array, Array], weights: dict[str, Array], zoneout: float = 0.0
) -> tuple[Array, tuple[Array, Array]]:
    h, c = state
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        i, f, o, g = (p + r for p, r in normalised_gates(x_t, h, weights))
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        new = logistic(o) * np.tanh(weights["gain_memory"] * normalised(c) + weights["bias_memory"])
        h = (1.0 - zoneout) * new + zoneout * h
        outputs[t] = h
    return outputs, (h, c)


def gru_ln(
    x: Array, state: tuple[Array], weights: dict[str, Array], zoneout: float = 0.0
) -> tuple[Array, tuple[Array]]:
    (h,) = state
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        (p_r, r_r), (p_z, r_z), (p_n, r_n) = normalised_gates(x_t, h, weights)
        z = logistic(p_z + r_z)
        n = np.tanh(p_n + logistic(p_r + r_r) * (r_n + weights["bias_candidate"]))
        h = (1.0 - zoneout) * ((1.0 - z) * n + z * h) + zoneout * h
        outputs[t] = h
    return outputs, (h,)


def mingru(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    """Here the update gate z is the share of the new candidate."""
    (h,) = state
    w_z, w_h = np.split(weights["weight_input"], 2)
    b_z, b_h = np.split(weights["bias"], 2)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        z = logistic(w_z @ x_t + b_z)
        h = (1.0 - z) * h + z * (w_h @ x_t + b_h)
        outputs[t] = h
    return outputs, (h,)


def minlstm(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    (h,) = state
    w_f, w_i, w_h = np.split(weights["weight_input"], 3)
    b_f, b_i, b_h = np.split(weights["bias"], 3)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        f, i = logistic(w_f @ x_t + b_f), logistic(w_i @ x_t + b_i)
        h = f / (f + i) * h + i / (f + i) * (w_h @ x_t + b_h)
        outputs[t] = h
    return outputs, (h,)


def qrnn(x: Array, state: tuple[Array, Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
    """A convolution over the step before and this one."""
    c, before = state
    w_g, w_f, w_o = np.split(weights["weight_input"], 3)
    b_g, b_f, b_o = np.split(weights["bias"], 3)
    outputs = np.zeros((len(x), len(c)))
    for t, x_t in enumerate(x):
        g, f, o = (
            w[:, : len(x_t)] @ before + w[:, len(x_t) :] @ x_t + b for w, b in ((w_g, b_g), (w_f, b_f), (w_o, b_o))
        )
        c = logistic(f) * c + (1.0 - logistic(f)) * np.tanh(g)
        outputs[t] = logistic(o) * c
        before = x_t
    return outputs, (c, before)


def sru(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    """The highway lets the input through, by way of a fourth block where the sizes differ."""
    (c,) = state
    w_g, w_f, w_r, *w_x = np.split(weights["weight_input"], len(weights["weight_input"]) // len(c))
    b_f, b_r = np.split(weights["bias"], 2)
    outputs = np.zeros((len(x), len(c)))
    for t, x_t in enumerate(x):
        f, r = logistic(w_f @ x_t + b_f), logistic(w_r @ x_t + b_r)
        c = f * c + (1.0 - f) * (w_g @ x_t)
        outputs[t] = r * np.tanh(c) + (1.0 - r) * (w_x[0] @ x_t if w_x else x_t)
    return outputs, (c,)


def slstm(x: Array, state: tuple[Array, ...], weights: dict[str, Array]) -> tuple[Array, tuple[Array, ...]]:
    """With c and n as they are; only the state that is returned is divided by exp(m)."""
    h, c, n, m = state
    c, n = c * np.exp(m), n * np.exp(m)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        a = weights["weight_input"] @ x_t + weights["weight_hidden"] @ h + weights["bias"]
        a_i, a_f, a_g, a_o = np.split(a, 4)
        m = np.maximum(np.log(logistic(a_f)) + m, a_i)
        c = logistic(a_f) * c + np.exp(a_i) * np.tanh(a_g)
        n = logistic(a_f) * n + np.exp(a_i)
        h = logistic(a_o) * c / n
        outputs[t] = h
    return outputs, (h, c / np.exp(m), n / np.exp(m), m) if len(x) else state


def transformer(x: Array, weights: dict[str, Array], num_heads: int, causal: bool) -> Array:
    """Step by step, head by head; the features of a head are turned in pairs, as complex numbers."""

    def norm(a: Array, name: str) -> Array:
        return normalised(a) * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(a: Array, name: str) -> Array:
        return weights[f"{name}.weight"] @ a + weights[f"{name}.bias"]

    def turned(a: Array, position: int) -> Array:
        half = len(a) // 2
        angles = position * 10_000.0 ** -(np.arange(half) / half)
        pairs = (a[:half] + 1j * a[half:]) * np.exp(1j * angles)
        return np.concatenate((pairs.real, pairs.imag))

    x = x @ weights["input.weight"].T if "input.weight" in weights else x
    joined = [linear(norm(x_t, "norm_attention"), "attention") for x_t in x]
    split = [[np.split(part, num_heads) for part in np.split(a, 3)] for a in joined]
    outputs = np.zeros_like(x)
    for t, x_t in enumerate(x):
        heads = []
        for n in range(num_heads):
            seen = range(t + 1 if causal else len(x))
            query = turned(split[t][0][n], t)
            scores = np.array([query @ turned(split[s][1][n], s) for s in seen]) / np.sqrt(len(query))
            shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            heads.append(sum(share * split[s][2][n] for share, s in zip(shares, seen, strict=True)))
        y = x_t + linear(np.concatenate(heads), "joined")
        a = linear(norm(y, "norm_mixed"), "mixed.0")
        gelu = np.array([0.5 * v * (1.0 + math.erf(v / math.sqrt(2.0))) for v in a])
        outputs[t] = y + linear(gelu, "mixed.2")
    return outputs
