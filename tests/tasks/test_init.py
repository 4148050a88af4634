"""What a training begins with: each layer's own values, or torch's; the forget gate's bias."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_lightning import Facts, LanguageModel, SequenceClassifier, SequenceTagger, registry
from rnn_lightning.layers import LSTM, LayerNormLSTM, RecurrentLayer
from tests.tasks.helpers import FIVE, LETTER_FACTS, feature_model

KERNELS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def _values(layer: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in layer.parameters()])


def _layers(model: nn.Module) -> list[RecurrentLayer]:
    return [module for module in model.modules() if isinstance(module, RecurrentLayer)]


@pytest.mark.parametrize("cell", KERNELS)
def test_torch_values_are_spread_as_those_of_torch(cell: str) -> None:
    """The same range, and evenly in it: the distance between the distributions (Kolmogorov, Smirnov) is small."""
    (layer,) = _layers(feature_model(cell=cell, hidden_size=100, init="torch"))
    ours, theirs = _values(layer).sort().values, _values(KERNELS[cell](3, 100)).sort().values
    bound = 1 / math.sqrt(100)
    for values in (ours, theirs):
        assert 0.99 * bound < values.abs().max() <= bound
        ideal = torch.linspace(-bound, bound, len(values))
        assert (values - ideal).abs().max() < 4 * bound / math.sqrt(len(values))
    for name, parameter in layer.named_parameters():
        assert parameter.min() < -0.9 * bound, name
        assert parameter.max() > 0.9 * bound, name


@pytest.mark.parametrize("cell", [name for name in registry.names("layers") if name != "transformer"])
def test_every_layer_and_direction_begins_so_and_gains_stay(cell: str) -> None:
    model = feature_model(cell=cell, hidden_size=25, init="torch", num_layers=2, bidirectional=True, prenorm=True)
    assert len(_layers(model)) == 4
    for layer in _layers(model):
        for name, parameter in layer.named_parameters():
            if "gain" in name:
                assert (parameter == 1).all()
            else:
                assert 0.15 < parameter.abs().max() <= 0.2, name
    others = feature_model(cell=cell, hidden_size=25, num_layers=2, bidirectional=True, prenorm=True)
    for name, parameter in others.named_parameters():
        if ".norms." in name:
            assert torch.equal(parameter, model.get_parameter(name))


@pytest.mark.parametrize(
    ("task", "facts"),
    [
        (SequenceClassifier, Facts(3, FIVE)),
        (SequenceTagger, Facts(3, FIVE, per_step=True)),
        (LanguageModel, LETTER_FACTS),
    ],
)
def test_all_tasks_have_it(task: Any, facts: Facts) -> None:
    own, torches = task(hidden_size=16), task(hidden_size=16, init="torch")
    assert (own.hparams["init"], torches.hparams["init"]) == ("default", "torch")
    assert not list(torches.parameters())
    for model in (own, torches):
        torch.manual_seed(0)
        model.adopt(facts)
    assert (_values(_layers(own)[0]).abs() > 0.25).any()
    assert (_values(_layers(torches)[0]).abs() <= 0.25).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "tochr"}, "init is 'tochr', not one of default, torch"),
        (
            {"init": "torch", "cell": "transformer"},
            "init is 'torch', but the linear maps of a Transformer begin as torch's anyway",
        ),
        ({"cell_options": {"forget_bias": math.nan}}, "forget_bias is nan; it must be a finite number"),
        (
            {"cell_options": {"forget_bias": "open"}},
            "the option 'forget_bias' of the layer 'lstm' wants a number, not 'open'",
        ),
        (
            {"cell": "lstm_ln", "cell_options": {"forget_bias": math.inf}},
            "forget_bias is inf; it must be a finite number",
        ),
        (
            {"cell": "gru", "cell_options": {"forget_bias": 1.0}},
            "the layer 'gru' has no option 'forget_bias'; it has reset",
        ),
    ],
    ids=str,
)
def test_what_has_no_meaning_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SequenceClassifier(**options)


@pytest.mark.parametrize("layer_class", [LSTM, LayerNormLSTM])
@pytest.mark.parametrize("options", [{}, {"forget_bias": 0.0}, {"forget_bias": -2.5}, {"forget_bias": 3}], ids=str)
def test_the_forget_gate_begins_as_asked(layer_class: Any, options: dict[str, Any]) -> None:
    wanted = torch.zeros(4, 5)
    wanted[1] = options.get("forget_bias", 1.0)
    assert torch.equal(layer_class(3, 5, **options).bias, wanted.flatten())


@pytest.mark.parametrize("cell", ["lstm", "lstm_ln"])
def test_a_forget_bias_that_is_asked_for_holds_with_the_values_of_torch(cell: str) -> None:
    model = feature_model(cell=cell, hidden_size=25, init="torch", cell_options={"forget_bias": 1.0})
    (layer,) = _layers(model)
    gates = layer.get_parameter("bias").view(4, 25)
    assert (gates[1] == 1).all()
    assert (gates[[0, 2, 3]].abs() <= 0.2).all()
    assert gates[[0, 2, 3]].any(1).all()


def test_coupled_gates_begin_as_asked_too() -> None:
    assert LSTM(3, 2, coupled=True, forget_bias=2.0).bias.tolist() == [2.0, 2.0, 0.0, 0.0, 0.0, 0.0]
