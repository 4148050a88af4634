"""The result of a sequence depends on nothing but the sequence: through the whole model, in scoring and in training."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
import torch

from rnn_lightning.layers import PoolingName
from tests.tasks.helpers import FIVE, feature_model, features, text_model

CELLS = ("rnn", "lstm", "gru")
LENGTHS = (3, 7, 0, 1, 5)
X, _ = features(*LENGTHS)

ARCHITECTURES = [
    *({"cell": cell, "pooling": pooling} for cell, pooling in itertools.product(CELLS, get_args(PoolingName))),
    *({"cell": cell, "pooling": pooling, "bidirectional": True} for cell in CELLS for pooling in ("last", "mean_max")),
    {"num_layers": 2, "bidirectional": True, "residual": True, "pooling": "mean_max_last"},
    {"cell": "rnn", "cell_options": {"nonlinearity": "relu"}, "num_layers": 3},
    {"batch_norm": True, "dropout": 0.5},
]


def _named(options: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


@pytest.mark.parametrize("options", ARCHITECTURES, ids=_named)
def test_a_sequence_is_scored_alone_as_among_longer_neighbours(options: dict[str, Any]) -> None:
    model = feature_model(FIVE, **options)
    padded = X.clone()
    for row, length in enumerate(LENGTHS):
        padded[row, length:] = torch.nan
    together = model(padded, torch.tensor(LENGTHS))
    assert together.isfinite().all()
    for row, length in enumerate(LENGTHS):
        alone = model(X[row : row + 1, : max(length, 1)], torch.tensor([length]))
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "pooling": "attention"}], ids=_named)
def test_a_text_is_scored_alone_as_among_longer_neighbours(options: dict[str, Any]) -> None:
    model = text_model(FIVE, **options)
    texts = ["good", "bad film 電 😀 schön good bad bad", "", "nothing known here", "film film film"]
    batch = model.encoder.batch(texts)
    together = model(batch.inputs, batch.lengths)
    for row, text in enumerate(texts):
        alone = model.encoder.batch([text])
        torch.testing.assert_close(together[row : row + 1], model(alone.inputs, alone.lengths), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"pooling": "last"}, {"cell": "gru", "bidirectional": True, "pooling": "mean_max"}], ids=_named
)
def test_the_gradient_of_a_batch_is_the_mean_of_the_gradients_of_its_sequences(options: dict[str, Any]) -> None:
    model = feature_model(FIVE, **options).double().train()
    targets = torch.tensor([0, 4, 2, 2, 1])
    x = X.double()

    def gradient(rows: list[int]) -> list[torch.Tensor]:
        lengths = torch.tensor([LENGTHS[row] for row in rows])
        steps = max(int(lengths.max()), 1)
        loss = model.losses(model(x[rows, :steps], lengths), targets[rows]).mean()
        return list(torch.autograd.grad(loss, list(model.parameters())))

    each = [gradient([row]) for row in range(len(LENGTHS))]
    for whole, *parts in zip(gradient(list(range(len(LENGTHS)))), *each, strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).mean(0), rtol=1e-9, atol=1e-12)


def test_lengths_may_be_left_out_where_nothing_is_padded() -> None:
    model = feature_model(FIVE, bidirectional=True, pooling="mean_max_last")
    x, lengths = features(4, 4)
    torch.testing.assert_close(model(x), model(x, lengths))
