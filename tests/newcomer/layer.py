"""A newcomer's layer, by the checklist of CONTRIBUTING.md."""

from __future__ import annotations

from tests.newcomer.addition import Addition

_LAYER = '''\
"""Leaky integrator (Jaeger et al. 2007, https://doi.org/10.1016/j.neunet.2007.04.016), half of the state leaking.

B sequences, D input features, H hidden features. State: (h,), h (B, H).

    h_t = h_{t-1} / 2 + tanh(W x_t + U h_{t-1} + b) / 2        W (H, D), U (H, H), b (H,)

The output is h_t.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.init import orthogonal_blocks_, xavier_blocks_


class Integrator(RecurrentLayer):
    """Leaky integrator.

    Args:
        input_size: features of a step, D.
        hidden_size: features of the output, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_input = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        xavier_blocks_(self.weight_input, hidden_size)
        orthogonal_blocks_(self.weight_hidden, hidden_size)

    def step(self, x_t: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = self.begin(x_t, state)
        a = functional.linear(x_t, self.weight_input, self.bias) + functional.linear(h, self.weight_hidden)
        h = (h + torch.tanh(a)) / 2
        return h, (h,)
'''
_LAYER_REFERENCE = """

def integrator(x: Array, state: tuple[Array], weights: dict[str, Array]) -> tuple[Array, tuple[Array]]:
    (h,) = state
    outputs = np.zeros((len(x), len(h)))
    for t, x_t in enumerate(x):
        a = weights["weight_input"] @ x_t + weights["weight_hidden"] @ h + weights["bias"]
        h = h / 2 + np.tanh(a) / 2
        outputs[t] = h
    return outputs, (h,)
"""
_LAYER_TEST = """\
from __future__ import annotations

import torch

from rnn_lightning import check_layer
from rnn_lightning.layers import Integrator
from tests.layers import reference
from tests.layers.helpers import assert_close, random, randomised


def test_it_agrees_with_its_equations_in_numpy() -> None:
    layer, x, h = randomised(Integrator(3, 5)), random(1, 7, 3, seed=1), random(1, 5, seed=2)
    output, (final,) = layer(x, state=(h,))
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    wanted, (wanted_final,) = reference.integrator(x[0].numpy(), (h[0].numpy(),), weights)
    assert_close([output[0], final[0]], [torch.from_numpy(wanted), torch.from_numpy(wanted_final)], 1e-12)


def test_it_keeps_the_contract() -> None:
    check_layer(Integrator)
"""
_LAYER_CONFIG = """\
# Leaky integrator, one layer.
# rnn-lightning fit --config integrator.yaml   · synthetic sequences
model:
  init_args: {cell: integrator, hidden_size: 128}
"""

LAYER = Addition(
    checklist="Add a layer",
    name="integrator",
    registered="integrator",
    files={
        "rnn_lightning/layers/integrator.py": _LAYER,
        "tests/layers/test_integrator.py": _LAYER_TEST,
        "configs/integrator.yaml": _LAYER_CONFIG,
    },
    lines=[
        (
            "rnn_lightning/registry.py",
            '        "integrator": "rnn_lightning.layers.integrator:Integrator",',
            r'        "\w+": "rnn_lightning\.layers\.',
        ),
        (
            "rnn_lightning/layers/__init__.py",
            "from rnn_lightning.layers.integrator import Integrator",
            r"from rnn_lightning\.layers\.",
        ),
        ("rnn_lightning/layers/__init__.py", '    "Integrator",', r'    "[A-Z][a-z]\w+",'),
    ],
    ends={"tests/layers/reference.py": _LAYER_REFERENCE},
    fit=["--config", "integrator.yaml"],
    verbs=["test"],
)
