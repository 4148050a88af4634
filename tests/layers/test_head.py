"""The tied output layer: each token is scored by its own vector."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rnn_lightning.layers import TiedHead
from tests.layers.helpers import random, randomised


def _tied(features: int, size: int = 4, dropout: float = 0.0) -> tuple[nn.Embedding, TiedHead]:
    vectors = randomised(nn.Embedding(7, size, padding_idx=0))
    return vectors, randomised(TiedHead(vectors, features, dropout), seed=1)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (0, 5)])
@pytest.mark.parametrize("features", [4, 6], ids=["same size", "another size"])
def test_a_score_is_a_dot_product_and_a_bias(features: int, shape: tuple[int, ...]) -> None:
    vectors, head = _tied(features)
    x = random(*shape, features, seed=5)
    y = x
    if features != 4:
        (linear,) = head.before
        y = torch.einsum("...f,ef->...e", x, linear.weight) + linear.bias
    scores = [(y * vectors.weight[token]).sum(-1) + head.bias[token - 1] for token in range(1, 7)]
    torch.testing.assert_close(head(x), torch.stack(scores, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("features", "names"), [(4, ["bias"]), (6, ["before.0.bias", "before.0.weight", "bias"])])
def test_the_vectors_are_parameters_of_the_embedding_alone(features: int, names: list[str]) -> None:
    _, head = _tied(features)
    assert sorted(name for name, _ in head.named_parameters()) == names
    assert sorted(head.state_dict()) == names


def test_a_vector_that_changes_changes_its_own_score_alone() -> None:
    vectors, head = _tied(4)
    x = random(2, 4)
    before = head(x).clone()
    with torch.no_grad():
        vectors.weight[3] += 1.0
    assert (head(x) != before).all(0).tolist() == [token == 3 for token in range(1, 7)]


@pytest.mark.parametrize("features", [4, 6])
def test_dropout_is_for_training(features: int) -> None:
    _, head = _tied(features, dropout=0.5)
    x = random(2, features)
    head.train()
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


@pytest.mark.parametrize("features", [4, 6])
@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_wrong_dropout_is_told(features: int, dropout: float) -> None:
    with pytest.raises(ValueError, match=f"^dropout is {dropout}; it must be at least 0 and below 1$"):
        _tied(features, dropout=dropout)
