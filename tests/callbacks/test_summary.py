"""The table before a training: each stage, its shape, and a count that its own formula explains."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from rnn_lightning import SequenceClassifier
from rnn_lightning.batch import Batch
from rnn_lightning.callbacks.summary import describe, formula, stages, table
from tests.tasks.helpers import FIVE, TWO, feature_model, features, text_model

FEATURES = Batch(*features(4, 1, 3, 0, 2))
TEXTS = Batch(torch.tensor([[2, 3, 4, 5], [1, 0, 0, 0]]), torch.tensor([4, 1]))

MODELS: dict[str, SequenceClassifier] = {
    "rnn": feature_model(cell="rnn", hidden_size=8),
    "lstm": feature_model(hidden_size=8),
    "gru": feature_model(cell="gru", hidden_size=8),
    "bidirectional": feature_model(cell="gru", hidden_size=8, bidirectional=True),
    "stacked": feature_model(hidden_size=8, num_layers=3, residual=True, pooling="mean_max_last", labels=FIVE),
    "attention": feature_model(hidden_size=8, pooling="attention", batch_norm=True, dropout=0.5),
    "projected": feature_model(hidden_size=8, projection_size=2, num_layers=2, bidirectional=True),
    "text": text_model(hidden_size=8, embedding_size=6),
    "regression": feature_model(labels=(), hidden_size=8),
}


def _rows(model: SequenceClassifier, batch: Batch | None = None) -> list[list[str]]:
    """The cells of each line below the titles."""
    titles, *lines = table(model, batch)
    starts = [titles.index(title) for title in ("stage", "what", "shape after", "how its parameters come about")]
    rows = []
    for line in lines:
        before, _, count = line.rpartition(" ")
        cells = [before[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        rows.append([*cells, count])
    return rows


def _number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("kind", MODELS)
def test_a_formula_comes_to_the_count_beside_it(kind: str) -> None:
    model = MODELS[kind]
    *rows, _ = _rows(model)
    for (name, _, _, text, count), (wanted_name, module) in zip(rows, stages(model), strict=True):
        assert name == wanted_name
        wanted = sum(p.numel() for p in module.parameters())
        assert _number(count) == wanted, name
        assert text == formula(module)
        if wanted:
            assert eval(text.replace("x", "*").replace(",", "")) == wanted, text
        else:
            assert text == ""


@pytest.mark.parametrize("kind", MODELS)
def test_the_counts_add_up_to_the_total(kind: str) -> None:
    model = MODELS[kind]
    *parts, total = _rows(model)
    assert total[0] == "total"
    assert _number(total[-1]) == sum(_number(row[-1]) for row in parts) == sum(p.numel() for p in model.parameters())


def test_three_features_and_eight_hidden_ones_make_105() -> None:
    assert _rows(MODELS["rnn"], FEATURES) == [
        ["recurrent.layers.0", "RNN 3 -> 8", "(B, T, 8)", "8x3 + 8x8 + 8", "96"],
        ["pooling", "Pooling last", "(B, 8)", "", "0"],
        ["head.0", "Linear 8 -> 1", "(B, 1)", "1x8 + 1", "9"],
        ["total", "", "", "", "105"],
    ]


@pytest.mark.parametrize(
    ("kind", "count", "text"),
    [
        ("lstm", 4 * 96, "4 x (8x3 + 8x8 + 8)"),
        ("gru", 3 * 96 + 8, "3 x (8x3 + 8x8 + 8) + 8"),  # one more bias, inside the reset gate
    ],
)
def test_gates_stand_before_a_bracket(kind: str, count: int, text: str) -> None:
    first = _rows(MODELS[kind])[0]
    assert (first[3], first[4]) == (text, str(count))


def test_both_directions_have_a_line_each() -> None:
    rows = _rows(MODELS["bidirectional"], FEATURES)
    names = ["recurrent.layers.0.forward_layer", "recurrent.layers.0.backward_layer", "pooling", "head.0", "total"]
    assert [row[0] for row in rows] == names
    assert [row[2] for row in rows] == ["(B, T, 8)", "(B, T, 8)", "(B, 16)", "(B, 1)", ""]
    assert rows[0][1:] == rows[1][1:]


def test_a_residual_stack_shows_the_linear_map_it_needs() -> None:
    rows = _rows(MODELS["stacked"], FEATURES)
    assert [row[0] for row in rows if row[0].startswith("recurrent.layers")] == [
        f"recurrent.layers.{layer}" for layer in range(3)
    ]
    (skip,) = (row for row in rows if row[0].startswith("recurrent.skips"))
    assert skip == ["recurrent.skips.0", "Linear 3 -> 8", "(B, T, 8)", "8x3", "24"]
    pooling, head = rows[-3:-1]
    assert pooling == ["pooling", "Pooling mean + max + last", "(B, 24)", "", "0"]
    assert head == ["head.0", "Linear 24 -> 5", "(B, 5)", "5x24 + 5", "125"]


def test_a_projected_layer_and_its_projection_have_a_line_each() -> None:
    rows = _rows(feature_model(hidden_size=8, projection_size=2), FEATURES)
    assert rows[:2] == [
        ["recurrent.layers.0.layer", "LSTM 3 -> 8", "(B, T, 8)", "4 x (8x3 + 8x8 + 8)", "384"],
        ["recurrent.layers.0.projection", "Linear 8 -> 2", "(B, T, 2)", "2x8", "16"],
    ]


def test_an_embedding_is_shown_with_its_vocabulary() -> None:
    rows = _rows(MODELS["text"], TEXTS)
    assert rows[0] == ["embedding", "TokenEmbedding 8 -> 6", "(B, T, 6)", "8x6", "48"]
    assert rows[1][:3] == ["recurrent.layers.0", "LSTM 6 -> 8", "(B, T, 8)"]


def test_attention_is_one_stage_and_batch_normalisation_another() -> None:
    rows = {row[0]: row[1:] for row in _rows(MODELS["attention"], FEATURES)}
    assert rows["pooling"] == ["Pooling attention", "(B, 8)", "8x8 + 8 + 1x8", "80"]
    assert rows["head.0"] == [type(MODELS["attention"].head[0]).__name__, "(B, 8)", "8 + 8", "16"]


def test_without_a_batch_there_are_no_shapes() -> None:
    assert [row[2] for row in _rows(MODELS["lstm"])] == ["", "", "", ""]


def test_large_counts_have_separators() -> None:
    rows = _rows(feature_model(hidden_size=300))
    assert rows[0][4] == f"{4 * (300 * 3 + 300 * 300 + 300):,}" == "364,800"


@pytest.mark.parametrize("training", [True, False])
def test_looking_at_a_model_leaves_it_as_it_was(training: bool) -> None:
    model = feature_model(TWO, dropout=0.5, batch_norm=True).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    table(model, FEATURES)
    assert torch.equal(torch.rand(1), wanted)  # no random number drawn
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_any_module_can_be_looked_at() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.LayerNorm(4), nn.Conv1d(2, 5, 3)))
    names = [name for name, _ in stages(model)]
    assert names == ["0", "2.0", "2.1"]
    assert [formula(module) for _, module in stages(model)] == ["4x3 + 4", "4 + 4", "5x2x3 + 5"]
    assert [describe(module) for _, module in stages(model)] == ["Linear 3 -> 4", "LayerNorm", "Conv1d"]
    total: Any = table(model)[-1].split()
    assert _number(total[-1]) == sum(math.prod(p.shape) for p in model.parameters())
