"""Vectors of tokens: padding stays zero, and what is dropped in training."""

from __future__ import annotations

import pytest
import torch

from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.layers import TokenEmbedding

IDS = torch.tensor([[5, 3, PAD, PAD], [UNKNOWN, 4, 5, 3]])


def test_tokens_get_their_vectors_and_padding_zeros() -> None:
    embedding = TokenEmbedding(6, 4)
    vectors = embedding(IDS)
    assert vectors.shape == (2, 4, 4)
    assert torch.equal(vectors, embedding.vectors.weight[IDS])
    assert torch.equal(vectors.eq(0).all(2), IDS == PAD)


def test_padding_has_no_gradient() -> None:
    embedding = TokenEmbedding(6, 4)
    embedding(IDS).sum().backward()
    gradient = embedding.vectors.weight.grad
    assert gradient is not None
    assert gradient.any(1).tolist() == [index in IDS and index != PAD for index in range(6)]


def test_dropout_takes_the_same_features_at_all_steps_of_a_sequence() -> None:
    embedding = TokenEmbedding(6, 200, dropout=0.5).train()
    vectors = embedding(torch.tensor([[5, 3, 4], [2, 4, 5]]))
    dropped = vectors == 0
    assert torch.equal(dropped.all(1), dropped.any(1))
    assert 0.3 < dropped.double().mean() < 0.7
    assert not torch.equal(dropped[0], dropped[1])


def test_word_dropout_turns_tokens_but_no_padding_into_the_unknown_one() -> None:
    embedding = TokenEmbedding(6, 4, word_dropout=0.5).train()
    ids = torch.tensor([5, PAD]).repeat(10, 50)
    vectors = embedding(ids)
    unknown = (vectors == embedding.vectors.weight[UNKNOWN]).all(2)
    known = (vectors == embedding.vectors.weight[5]).all(2)
    assert torch.equal(unknown | known, ids != PAD)
    assert 0.3 < unknown[ids != PAD].double().mean() < 0.7
    assert not vectors[ids == PAD].any()


def test_nothing_is_dropped_in_evaluation() -> None:
    embedding = TokenEmbedding(6, 4, dropout=0.5, word_dropout=0.5).eval()
    assert torch.equal(embedding(IDS), embedding.vectors.weight[IDS])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 1}, "vocab_size is 1; it must be at least 2"),
        ({"embedding_size": 0}, "embedding_size is 0; it must be at least 1"),
        ({"dropout": 1.0}, "embedding_dropout is 1.0; it must be at least 0 and below 1"),
        ({"word_dropout": -0.1}, "word_dropout is -0.1; it must be at least 0 and below 1"),
    ],
)
def test_embedding_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenEmbedding(**{"vocab_size": 6, "embedding_size": 4, **options})
