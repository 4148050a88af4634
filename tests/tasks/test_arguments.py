"""A wrong argument is found when the model is made, before any data is there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from rnn_lightning import SequenceClassifier, registry

NO_LAYER = f"there is no recurrent layer '{{}}'; there are {', '.join(registry.names('layers'))}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lsmt"}, NO_LAYER.format("lsmt") + "; did you mean 'lstm'?"),
        ({"cell": "GRU"}, NO_LAYER.format("GRU") + "; did you mean 'gru'?"),
        ({"cell": "rn"}, NO_LAYER.format("rn") + "; did you mean 'rnn'?"),
        ({"cell": "wavenet"}, NO_LAYER.format("wavenet")),
        (
            {"cell": "transformer", "hidden_size": 12},
            "hidden_size is 12; for 4 heads of a Transformer it must be a multiple of 8",
        ),
        ({"cell": "transformer", "cell_options": {"num_heads": 0}}, "num_heads is 0; it must be at least 1"),
        (
            {"cell": "transformer", "cell_options": {"causal": False}},
            "the layer 'transformer' has no option 'causal'; it has num_heads",
        ),
        ({"hidden_size": 0}, "hidden_size is 0; it must be at least 1"),
        ({"hidden_size": -4}, "hidden_size is -4; it must be at least 1"),
        ({"hidden_size": -4, "bidirectional": True}, "hidden_size is -4; it must be at least 1"),
        ({"num_layers": 0}, "num_layers is 0; it must be at least 1"),
        ({"layer_dropout": 1.0, "num_layers": 2}, "dropout between layers is 1.0; it must be at least 0 and below 1"),
        ({"layer_dropout": -0.1}, "dropout between layers is -0.1; it must be at least 0 and below 1"),
        (
            {"layer_dropout": 0.5},
            "there is dropout between layers, but only one layer: give num_layers 2 or more, or no dropout",
        ),
        (
            {"locked_dropout": True, "num_layers": 2},
            "locked_dropout is true, but there is no dropout between layers",
        ),
        ({"weight_dropout": 1.0}, "weight_dropout is 1.0; it must be at least 0 and below 1"),
        ({"cell": "mingru", "weight_dropout": 0.5}, "weight_dropout is 0.5, but MinGRU has no recurrent matrix"),
        (
            {"cell": "qrnn", "weight_dropout": 0.5, "bidirectional": True},
            "weight_dropout is 0.5, but QRNN has no recurrent matrix",
        ),
        ({"embedding_size": 0}, "embedding_size is 0; it must be at least 1"),
        ({"embedding_dropout": 1.5}, "embedding_dropout is 1.5; it must be at least 0 and below 1"),
        ({"word_dropout": -1.0}, "word_dropout is -1.0; it must be at least 0 and below 1"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ({"dropout": float("nan")}, "dropout is nan; it must be at least 0 and below 1"),
        (
            {"cell_options": {"gates": 3}},
            "the layer 'lstm' has no option 'gates'; it has coupled, peephole, forget_bias",
        ),
        ({"cell": "qrnn", "cell_options": {"zoneout": 0.1}}, "the layer 'qrnn' has no option 'zoneout'; it has none"),
        (
            {"cell": "gru", "cell_options": {"recurrent_dropout": 0.1}},
            "the layer 'gru' has no option 'recurrent_dropout'; it has reset",
        ),
        (
            {"cell": "rnn_ln", "cell_options": {"zoneut": 0.1}},
            "the layer 'rnn_ln' has no option 'zoneut'; it has recurrent_dropout, zoneout; did you mean 'zoneout'?",
        ),
        (
            {"cell": "lstm_ln", "cell_options": {"recurrent_dropout": 1.0}},
            "recurrent_dropout is 1.0; it must be at least 0 and below 1",
        ),
        (
            {"cell": "gru_ln", "cell_options": {"zoneout": -0.1}},
            "zoneout is -0.1; it must be at least 0 and below 1",
        ),
        ({"cell": "gru", "cell_options": {"reset": "never"}}, "reset is 'never', not one of after, before"),
        (
            {"cell": "rnn", "cell_options": {"nonlinearty": "relu"}},
            "the layer 'rnn' has no option 'nonlinearty'; it has nonlinearity; did you mean 'nonlinearity'?",
        ),
        (
            {"cell": "rnn", "cell_options": {"nonlinearity": "sin"}},
            "nonlinearity is 'sin', not one of tanh, relu",
        ),
        (
            {"cell": "rnn", "cell_options": {"hidden_size": 3}},
            "the layer 'rnn' has no option 'hidden_size'; it has nonlinearity",
        ),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_with_what_is_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SequenceClassifier(**options)


@pytest.mark.parametrize("pooling", ["lsat", "mean-max", "last_mean", ""])
def test_an_unknown_pooling_is_told_all_there_are(pooling: str) -> None:
    with pytest.raises(ValueError, match="there is no pooling") as error:
        SequenceClassifier(pooling=pooling)  # type: ignore[arg-type]  # that is the mistake
    all_there_are = "last, mean, max, mean_max, mean_max_last, attention"
    assert str(error.value) == f"there is no pooling '{pooling}'; there are {all_there_are}"


def test_making_an_unbuilt_model_takes_no_memory() -> None:
    model = SequenceClassifier(hidden_size=100_000, num_layers=50)  # two terabytes, if it were built
    assert not model.is_built
    assert list(model.parameters()) == []


def test_the_check_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    SequenceClassifier(hidden_size=7)
    assert torch.equal(torch.rand(3), wanted)
