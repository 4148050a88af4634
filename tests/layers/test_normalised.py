"""Recurrent dropout and zoneout of the layers with layer normalisation: what they do in training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnn_lightning.layers import LayerNormGRU, LayerNormLSTM, LayerNormRNN
from rnn_lightning.layers.normalised import NormalisedLayer
from tests.layers.helpers import assert_close, gradients, projection, random, randomised, with_nan_padding

LAYERS = [LayerNormRNN, LayerNormLSTM, LayerNormGRU]
OPTIONS = [{"recurrent_dropout": 0.5}, {"zoneout": 0.5}, {"recurrent_dropout": 0.3, "zoneout": 0.2}]
H = 64


def _layer(make: type[NormalisedLayer], **options: float) -> NormalisedLayer:
    return randomised(make(3, H, **options))


def _training(layer: NormalisedLayer, *arguments: Tensor | None, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    output, _ = layer.train()(*arguments)
    return output


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("make", LAYERS)
def test_training_differs_from_call_to_call_and_evaluation_does_not(
    make: type[NormalisedLayer], options: dict[str, float]
) -> None:
    layer, x = _layer(make, **options), random(2, 5, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert not torch.equal(_training(layer, x), _training(layer, x, seed=1))
    layer.train()
    assert not torch.equal(layer.step(x[:, 0], layer(x)[1])[0], layer.step(x[:, 0], layer(x)[1])[0])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("make", LAYERS)
def test_padding_changes_nothing_in_training_and_all_weights_have_a_gradient(
    make: type[NormalisedLayer], options: dict[str, float]
) -> None:
    layer, x, lengths = _layer(make, **options), random(3, 5, 3), torch.tensor([5, 0, 2])
    found, wanted = (_training(layer, padded, lengths) for padded in (with_nan_padding(x, lengths), x))
    assert torch.equal(found, wanted)
    assert not found[1].any()
    assert not found[2, 2:].any()
    for gradient in gradients(projection([found]), layer.parameters()):
        assert gradient.isfinite().all()
        assert gradient.any()


@pytest.mark.parametrize("make", LAYERS)
def test_without_recurrent_dropout_in_evaluation_the_layer_is_the_plain_one(make: type[NormalisedLayer]) -> None:
    layer, plain, x = _layer(make, recurrent_dropout=0.5), _layer(make), random(2, 5, 3)
    assert_close([layer(x)[0]], [plain(x)[0]], 1e-12)


@pytest.mark.parametrize("make", LAYERS)
def test_the_recurrent_matrix_misses_the_same_features_at_all_steps_of_a_sequence(
    make: type[NormalisedLayer],
) -> None:
    layer = _layer(make, recurrent_dropout=0.5)
    output = _training(layer, random(2, 9, 3))
    # A column of U whose feature is dropped in both sequences has no gradient; the others of each sequence have one.
    for row in range(2):
        (of_one,) = torch.autograd.grad(output[row].sum(), layer.weight_hidden, retain_graph=True)
        unseen = ~of_one.any(0)
        assert 0.2 < unseen.double().mean() < 0.8


@pytest.mark.parametrize("make", LAYERS)
def test_what_is_left_is_scaled_so_that_the_mean_stays(make: type[NormalisedLayer]) -> None:
    layer = _layer(make, recurrent_dropout=0.75).train()
    masks = torch.cat([layer._mask((torch.ones(10, H),)) for _ in range(50)])
    assert set(masks.flatten().tolist()) == {0.0, 4.0}
    assert masks.mean().sub(1.0).abs() < 0.05


@pytest.mark.parametrize("make", LAYERS)
def test_zoneout_leaves_a_share_of_the_features_as_they_were(make: type[NormalisedLayer]) -> None:
    layer = _layer(make, zoneout=0.25)
    output = _training(layer, random(20, 9, 3))
    same = output[:, 1:] == output[:, :-1]
    assert same.double().mean().sub(0.25).abs() < 0.02
    assert not same[:, 0].equal(same[:, 1])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_lstms_memory_is_neither_dropped_nor_zoned_out(options: dict[str, float]) -> None:
    layer = _layer(LayerNormLSTM, **options).train()
    with torch.no_grad():
        layer.bias.fill_(1e4)  # all gates open: each step adds 1 to c
    _, (_, c) = layer(random(2, 5, 3))
    assert_close([c], [torch.full_like(c, 5.0)], 1e-9)
