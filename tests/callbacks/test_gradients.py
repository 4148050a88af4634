"""How large the gradient is at each state: against NumPy and finite differences, blind to padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnn_lightning import Facts, SequenceClassifier
from rnn_lightning.batch import NO_LABEL, PAD, Batch
from rnn_lightning.callbacks.gradients import recurrent_layers, spectral_radii, state_gradients
from rnn_lightning.layers import RecurrentLayer
from rnn_lightning.layers.base import loop
from tests.tasks.helpers import (
    FIVE,
    feature_model,
    features,
    language_model,
    tagger,
    text_model,
)

FORWARD = (0, "forward")


def _batch(*lengths: int) -> Batch:
    x, sizes = features(*lengths)
    return Batch(x.double(), sizes, torch.arange(len(lengths)) % 2)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _weights(model: SequenceClassifier) -> dict[str, Any]:
    named = {name.rpartition("recurrent.layers.0.")[2]: p.detach().numpy() for name, p in model.named_parameters()}
    assert {"weight_input", "weight_hidden", "bias", "head.0.weight", "head.0.bias"} == set(named)
    return named


def _rnn_by_hand(w: dict[str, Any], x: Any, target: int) -> dict[str, list[float]]:
    """Back-propagation through one sequence x (T, D), from the equations: the norms by distance."""
    h = [np.zeros(len(w["weight_hidden"]))]
    for x_t in x:
        h.append(np.tanh(w["weight_input"] @ x_t + w["weight_hidden"] @ h[-1] + w["bias"]))
    (head,) = w["head.0.weight"]
    d_h = (_sigmoid(head @ h[-1] + w["head.0.bias"]) - target) * head
    norms = []
    for h_t in reversed(h[1:]):
        norms.append(np.linalg.norm(d_h))
        d_h = w["weight_hidden"].T @ (d_h * (1 - h_t**2))
    return {"h": norms}


def _lstm_by_hand(w: dict[str, Any], x: Any, target: int) -> dict[str, list[float]]:
    size = w["weight_hidden"].shape[1]
    h, c = np.zeros(size), np.zeros(size)
    kept = []
    for x_t in x:
        a = w["weight_input"] @ x_t + w["weight_hidden"] @ h + w["bias"]
        (i, f, o), g = _sigmoid(a.reshape(4, size)[[0, 1, 3]]), np.tanh(a[2 * size : 3 * size])
        before, c = c, f * c + i * g
        h = o * np.tanh(c)
        kept.append((i, f, g, o, before, c))
    (head,) = w["head.0.weight"]
    d_h, d_c = (_sigmoid(head @ h + w["head.0.bias"]) - target) * head, np.zeros(size)
    norms: dict[str, list[float]] = {"h": [], "c": []}
    for i, f, g, o, before, after in reversed(kept):
        d_c = d_c + d_h * o * (1 - np.tanh(after) ** 2)  # the memory is seen through h too
        norms["h"].append(float(np.linalg.norm(d_h)))
        norms["c"].append(float(np.linalg.norm(d_c)))
        d_i, d_f, d_g = d_c * g * i * (1 - i), d_c * before * f * (1 - f), d_c * i * (1 - g**2)
        d_o = d_h * np.tanh(after) * o * (1 - o)
        d_h, d_c = w["weight_hidden"].T @ np.concatenate((d_i, d_f, d_g, d_o)), d_c * f
    return norms


@pytest.mark.parametrize(("cell", "by_hand"), [("rnn", _rnn_by_hand), ("lstm", _lstm_by_hand)])
def test_the_norms_are_those_of_back_propagation_by_hand(cell: str, by_hand: Callable[..., Any]) -> None:
    model, batch = feature_model(cell=cell, hidden_size=5).double(), _batch(6, 2, 4)
    each = [
        by_hand(_weights(model), batch.inputs[row, :length].numpy(), int(batch.targets[row]))  # type: ignore[index]
        for row, length in enumerate(batch.lengths.tolist())
    ]
    found = state_gradients(model, batch)
    assert set(found) == {(FORWARD, state) for state in each[0]}
    for state in each[0]:
        wanted = [np.mean([norms[state][d] for norms in each if d < len(norms[state])]) for d in range(6)]
        assert found[FORWARD, state] == pytest.approx(wanted, rel=1e-10)


@contextmanager
def _pushed(layer: RecurrentLayer, t: int, push: Tensor) -> Iterator[None]:
    """Adds something to a layer's h at one step, in the output and in what is carried on."""
    steps = iter(range(1000))

    def step(x_t: Tensor, state: Any) -> Any:
        output, (h, *memory) = type(layer).step(layer, x_t, state)
        if next(steps) == t:
            assert output is h
            output = h = h + push
        return output, (h, *memory)

    layer.unroll = lambda x, lengths, state: loop(step, x, lengths, state)  # type: ignore[method-assign]
    yield
    del layer.unroll


def _by_differences(model: Any, layer: RecurrentLayer, batch: Batch) -> Tensor:
    """Norms (B, T) of the losses' gradient at h, from the losses alone."""
    size, epsilon = layer.hidden_size, 1e-5
    found = torch.zeros(len(batch.lengths), batch.inputs.size(1), size, dtype=torch.float64)
    for t in range(batch.inputs.size(1)):
        for feature, unit in enumerate(torch.eye(size, dtype=torch.float64)):
            losses = []
            for push in (unit * epsilon, -unit * epsilon):
                with torch.no_grad(), _pushed(layer, t, push):
                    losses.append(model.end_losses(batch)[0])
            found[:, t, feature] = (losses[0] - losses[1]) / (2 * epsilon)
    return found.norm(dim=2)


SENTENCES = Batch(torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]]), torch.tensor([4, 2]))
CLASSES = torch.tensor([[0, NO_LABEL, 1, NO_LABEL], [1, 1, 3, 0]])
NEXT = torch.tensor([[3, 4, 5, 6], [7, 2, PAD, PAD]])
LABELLED = Facts(3, FIVE, per_step=True)

CELLS = ("rnn", "lstm", "gru", "mingru", "gru_ln", "slstm")
MODELS: dict[str, tuple[Any, Batch]] = {
    **{
        cell: (feature_model(cell=cell), _batch(4, 1, 3))
        for cell in ("rnn", "lstm", "gru", "mingru", "gru_ln", "slstm")
    },
    "mean": (feature_model(cell="gru", pooling="mean_max"), _batch(4, 1, 3)),
    "attention": (feature_model(pooling="attention", cell="rnn"), _batch(4, 1, 3)),
    "both directions": (feature_model(cell="rnn", bidirectional=True, num_layers=2), _batch(4, 1, 3)),
    "stack": (feature_model(num_layers=2, prenorm=True), _batch(4, 2, 3)),
    "dropout": (feature_model(num_layers=2, layer_dropout=0.5, dropout=0.5, batch_norm=True), _batch(4, 2)),
    "regression": (feature_model((), cell="gru"), _batch(4, 2)._replace(targets=torch.tensor([0.5, 2.0]).double())),
    "five classes": (feature_model(FIVE), _batch(4, 2)),
    "text": (text_model(cell="gru", word_dropout=0.5), SENTENCES._replace(targets=torch.tensor([0, 1]))),
    "next token": (language_model(cell="gru"), SENTENCES._replace(targets=NEXT)),
    "class a step": (tagger(LABELLED, cell="gru"), _batch(4, 2)._replace(targets=CLASSES)),
    "class a step, both directions": (
        tagger(LABELLED, cell="rnn", bidirectional=True, num_layers=2),
        _batch(4, 2)._replace(targets=CLASSES),
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_norms_are_those_of_finite_differences(kind: str) -> None:
    model, batch = MODELS[kind]
    model.double().train()
    found = state_gradients(model, batch)
    assert all(module.training for module in model.modules())
    model.eval()
    per_step = batch.targets is not None and batch.targets.dim() > 1
    ends = {"next token": [4, 2], "class a step": [3, 2]}.get(kind.partition(",")[0], batch.lengths.tolist())
    for place, layer in recurrent_layers(model).items():
        norms = _by_differences(model, layer, batch)
        by_distance: dict[int, list[float]] = {}
        for row, (length, end) in enumerate(zip(batch.lengths.tolist(), ends, strict=True)):
            own = norms[row, :length].tolist()
            own = own[::-1] if per_step and place[1] == "backward" else own
            for distance, norm in enumerate(reversed(own[:end])):
                by_distance.setdefault(distance, []).append(norm)
        wanted = [sum(values) / len(values) for values in by_distance.values()]
        assert found[place, "h"] == pytest.approx(wanted, rel=1e-5, abs=1e-9), place


def test_the_whole_gradient_is_more_than_that_of_the_step_itself() -> None:
    model, batch = feature_model(cell="gru").double(), _batch(5, 5)
    norms = state_gradients(model, batch)[FORWARD, "h"]
    assert len(norms) == 5
    assert all(norm > 0 for norm in norms)  # only the last step's output is looked at


def test_padding_and_neighbours_have_no_part_in_it() -> None:
    model, batch = feature_model(cell="lstm", pooling="mean").double(), _batch(5, 3)
    longer = torch.cat((batch.inputs, torch.full((2, 4, 3), torch.nan)), 1)
    longer[1, 3:] = torch.nan
    assert state_gradients(model, batch._replace(inputs=longer)) == state_gradients(model, batch)
    alone = state_gradients(model, Batch(batch.inputs[1:, :3], batch.lengths[1:], torch.tensor([1])))
    first = state_gradients(model, Batch(batch.inputs[:1], batch.lengths[:1], torch.tensor([0])))
    for key, norms in state_gradients(model, batch).items():
        means = [(a + b) / 2 for a, b in zip(alone[key], first[key], strict=False)] + first[key][3:]
        assert norms == pytest.approx(means, rel=1e-12)


def test_sequences_without_steps_or_labels_have_no_distance() -> None:
    empty = Batch(torch.zeros(2, 1, 3), torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert state_gradients(feature_model(cell="rnn"), empty) == {(FORWARD, "h"): []}
    one = Batch(torch.ones(2, 2, 3), torch.tensor([0, 2]), torch.tensor([0, 1]))
    assert len(state_gradients(feature_model(cell="rnn"), one)[FORWARD, "h"]) == 2
    unlabelled = Batch(torch.ones(1, 2, 3), torch.tensor([2]), torch.full((1, 2), NO_LABEL))
    assert state_gradients(tagger(LABELLED, cell="rnn"), unlabelled) == {(FORWARD, "h"): []}


def test_small_gradients_are_not_lost() -> None:
    model = feature_model(cell="rnn", hidden_size=4)
    model.recurrent.layers[0].weight_hidden.data = torch.eye(4) * 1e-3
    norms = state_gradients(model, Batch(torch.zeros(1, 12, 3), torch.tensor([12]), torch.tensor([1])))[FORWARD, "h"]
    assert norms == pytest.approx([norms[0] * 1e-3**distance for distance in range(12)], rel=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "qrnn", "slstm", "minlstm", "lstm_ln"])
def test_the_states_are_called_by_their_names(cell: str) -> None:
    names = {"lstm": {"h", "c"}, "lstm_ln": {"h", "c"}, "slstm": {"h", "c"}, "qrnn": {"c"}, "minlstm": {"h"}}
    found = state_gradients(feature_model(cell=cell).double(), _batch(3, 2))
    assert {state for _, state in found} == names[cell]
    assert all(norm > 0 for norms in found.values() for norm in norms)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_of_a_projected_layer_the_state_is_the_layers_own(bidirectional: bool) -> None:
    model = feature_model(cell="gru", hidden_size=4, projection_size=2, bidirectional=bidirectional).double()
    found = state_gradients(model, _batch(3, 2))
    assert len(found) == 1 + bidirectional
    assert all(len(norms) == 3 and norms[0] > 0 for norms in found.values())


def test_a_frozen_model_has_gradients_all_the_same() -> None:
    model, batch = feature_model().double(), _batch(3, 2)
    wanted = state_gradients(model, batch)
    assert state_gradients(model.requires_grad_(False), batch) == wanted


def test_a_look_leaves_everything_as_it_was() -> None:
    model, batch = feature_model(cell="gru", dropout=0.5, num_layers=2).double().train(), _batch(4, 2)
    model.recurrent.eval()  # as someone may have frozen a part
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    state_gradients(model, batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any("unroll" in vars(module) for module in model.modules())


@pytest.mark.parametrize(
    "options", [{"cell": "rnn"}, {"cell": "gru", "bidirectional": True}, {"num_layers": 2}], ids=str
)
def test_spectral_radii_are_those_of_numpy(options: dict[str, Any]) -> None:
    model = feature_model(hidden_size=6, **options)
    for parameter in model.parameters():
        parameter.data.normal_()
    found = spectral_radii(model)
    assert set(found) == set(recurrent_layers(model))
    for place, layer in recurrent_layers(model).items():
        matrices = layer.get_parameter("weight_hidden").detach().numpy().reshape(-1, 6, 6)
        wanted = [np.abs(np.linalg.eigvals(matrix.astype(float))).max() for matrix in matrices]
        assert found[place] == pytest.approx(wanted, rel=1e-6)


def test_a_layer_without_a_recurrent_matrix_has_no_radius() -> None:
    assert spectral_radii(feature_model(cell="mingru")) == {}
    assert spectral_radii(feature_model(cell="rnn", hidden_size=7))[FORWARD] == pytest.approx([1.0])  # orthogonal
