"""Recurrent layers in NumPy, straight from their equations: one sequence, step by step, nothing shared with torch.

T steps, D input features, H hidden features; x is (T, D), a state (H,). All return outputs (T, H) and the last state.
"""

from __future__ import annotations

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
    h, c = state
    w_i, w_f, w_g, w_o = np.split(weights["weight_input"], 4)
    u_i, u_f, u_g, u_o = np.split(weights["weight_hidden"], 4)
    b_i, b_f, b_g, b_o = np.split(weights["bias"], 4)
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        i = logistic(w_i @ x_t + u_i @ h + b_i)
        f = logistic(w_f @ x_t + u_f @ h + b_f)
        g = np.tanh(w_g @ x_t + u_g @ h + b_g)
        o = logistic(w_o @ x_t + u_o @ h + b_o)
        c = f * c + i * g
        h = o * np.tanh(c)
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


def lstm_ln(x: Array, state: tuple[Array, Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array, Array]]:
    """Each gate normalised by itself."""
    h, c = state
    gates = [np.split(weights[name], 4) for name in ("weight_input", "gain_input", "weight_hidden", "gain_hidden")]
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        i, f, o, g = (
            gain_w * normalised(w @ x_t) + gain_u * normalised(u @ h) + b
            for w, gain_w, u, gain_u, b in zip(*gates, np.split(weights["bias"], 4), strict=True)
        )
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(weights["gain_memory"] * normalised(c) + weights["bias_memory"])
        outputs[t] = h
    return outputs, (h, c)


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
