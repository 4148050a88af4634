"""What is exported, run by ONNX Runtime, beside the model that it was made from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from rnn_lightning import Facts, LanguageModel, RecurrentLayer, SequenceClassifier, SequenceTagger, registry
from rnn_lightning.batch import UNKNOWN
from rnn_lightning.export.files import exported
from rnn_lightning.export.trial import FailedError
from rnn_lightning.layers import GRU
from tests.tasks.helpers import ENCODER, FIVE, feature_model, language_model, tagger, text_model

LENGTHS = [5, 0, 1, 13, 2]
CHOICES: list[tuple[str, dict[str, Any]]] = [
    *((cell, {}) for cell in registry.names("layers") if cell != "transformer"),
    ("lstm", {"coupled": True}),
    ("lstm", {"peephole": True}),
    ("gru", {"reset": "before"}),
    ("rnn", {"nonlinearity": "relu"}),
    ("gru_ln", {"zoneout": 0.2}),
]
STACKS: list[dict[str, Any]] = [
    {"cell": "lstm", "num_layers": 2, "residual": True},
    {"cell": "gru", "num_layers": 2, "prenorm": True},
    {"cell": "lstm", "projection_size": 2, "num_layers": 2, "layer_dropout": 0.5},
    {"cell": "mingru", "projection_size": 2},
    {"cell": "sru", "batch_norm": True, "dropout": 0.5},
    {"cell": "rnn", "weight_dropout": 0.5},
]
BOTH_DIRECTIONS: list[dict[str, Any]] = [
    {"cell": "lstm", "num_layers": 2},
    {"cell": "slstm", "num_layers": 2, "residual": True},
    {"cell": "gru", "prenorm": True, "projection_size": 2},
    {"cell": "transformer", "hidden_size": 8, "num_layers": 2},
]


def _random(model: Any) -> Any:
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    for buffer in model.buffers():
        if buffer.is_floating_point():
            torch.nn.init.uniform_(buffer, 0.5, 1.5)  # what batch normalisation has seen
    return model


def _features(**options: Any) -> SequenceClassifier:
    return _random(feature_model(FIVE, **{"hidden_size": 3, **options}))


def _batch(model: Any) -> tuple[Tensor, Tensor]:
    shape, random = (len(LENGTHS), max(LENGTHS)), torch.Generator().manual_seed(3)
    size = model.hparams.get("input_size")
    if size is None:
        inputs = torch.randint(model.hparams["vocab_size"], shape, generator=random)
    else:
        inputs = torch.randn(*shape, size, generator=random)
    return inputs, torch.tensor(LENGTHS)


def _run(file: bytes, inputs: Tensor, lengths: Tensor) -> Any:
    (found,) = onnxruntime.InferenceSession(file).run(None, {"inputs": inputs.numpy(), "lengths": lengths.numpy()})
    return found


def _assert_close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, atol=5e-6, rtol=1e-5)


@torch.inference_mode()
def _probabilities(model: SequenceClassifier, inputs: Tensor, lengths: Tensor) -> Any:
    return model.probabilities(model(inputs, lengths)).numpy()


def _step_by_step(files: dict[str, bytes], inputs: Tensor) -> Any:
    """The answers after each step, (B, T, ...), with nothing known but what model.json says."""
    about = json.loads(files["model.json"])["step.onnx"]
    first = about["initial_state"]
    state = {name: np.zeros((len(inputs), *about["inputs"][name][1:]), np.float32) + first[name] for name in first}
    session, answers = onnxruntime.InferenceSession(files["step.onnx"]), []
    for x_t in inputs.unbind(1):
        now = {name: value.astype(np.float32) for name, value in state.items()}
        found = dict(zip(about["outputs"], session.run(None, {"inputs": x_t.numpy(), **now}), strict=True))
        state = {name: found[f"new_{name}"] for name in state}
        (answer,) = (value for name, value in found.items() if not name.startswith("new_"))
        answers.append(answer)
    return np.stack(answers, 1)


@pytest.mark.parametrize(("cell", "options"), CHOICES)
def test_every_layer_says_the_same_in_whole_sequences_and_step_by_step(cell: str, options: dict[str, Any]) -> None:
    model = _features(cell=cell, cell_options=options)
    files = exported(model).files
    inputs, lengths = _batch(model)
    _assert_close(_run(files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    counts = (torch.full((len(inputs),), step) for step in range(1, inputs.size(1) + 1))
    after_each = np.stack([_probabilities(model, inputs, count) for count in counts], 1)
    _assert_close(_step_by_step(files, inputs), after_each)


@pytest.mark.parametrize("options", STACKS)
def test_stacks_of_all_kinds_say_the_same(options: dict[str, Any]) -> None:
    model = _features(**options)
    inputs, lengths = _batch(model)
    found = exported(model)
    _assert_close(_run(found.files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    assert "step.onnx" in found.files


@pytest.mark.parametrize("options", BOTH_DIRECTIONS)
def test_models_in_both_directions_have_no_file_for_steps(options: dict[str, Any]) -> None:
    model = _features(bidirectional=True, pooling="mean_max_last", **options)
    inputs, lengths = _batch(model)
    found = exported(model)
    _assert_close(_run(found.files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    assert "step.onnx" not in found.files
    assert found.no_steps is not None


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "mean_max_last", "attention"])
def test_poolings_of_all_steps_say_the_same(pooling: str) -> None:
    model = _features(cell="gru", pooling=pooling)
    inputs, lengths = _batch(model)
    found = exported(model)
    _assert_close(_run(found.files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    assert pooling in str(found.no_steps)


def test_a_transformer_in_one_direction_is_exported_without_steps() -> None:
    model = _features(cell="transformer", hidden_size=8, num_layers=2)
    inputs, lengths = _batch(model)
    found = exported(model)
    _assert_close(_run(found.files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    assert "grows" in str(found.no_steps)


def test_the_plain_layers_are_one_operator() -> None:
    for cell, operator in (("lstm", b"LSTM"), ("gru", b"GRU"), ("rnn", b"RNN")):
        file = exported(_features(cell=cell)).files["model.onnx"]
        assert operator in file
        assert b"Scan" not in file


def test_two_classes_of_texts_have_two_probabilities() -> None:
    model = _random(text_model(hidden_size=3))
    inputs, lengths = _batch(model)
    found = _run(exported(model).files["model.onnx"], inputs, lengths)
    assert found.shape == (len(LENGTHS), 2)
    _assert_close(found, _probabilities(model, inputs, lengths))


def test_a_regression_has_a_value_and_no_labels() -> None:
    model = _random(feature_model((), hidden_size=3))
    model.head[-1].bias.data.fill_(1000.0)
    inputs, lengths = _batch(model)
    files = exported(model).files
    about = json.loads(files["model.json"])
    assert about["output"] == "value"
    assert about["labels"] == []
    with torch.inference_mode():
        _assert_close(_run(files["model.onnx"], inputs, lengths), model(inputs, lengths).numpy())


@pytest.mark.parametrize("facts", [Facts(2, FIVE, per_step=True), Facts(None, FIVE, ENCODER, per_step=True)])
def test_a_tagger_has_the_probabilities_of_each_step(facts: Facts) -> None:
    model: SequenceTagger = tagger(facts)
    inputs, lengths = _batch(model)
    files = exported(model).files
    with torch.inference_mode():
        _assert_close(_run(files["model.onnx"], inputs, lengths), model(inputs, lengths).softmax(2).numpy())
        _assert_close(_step_by_step(files, inputs), model(inputs).softmax(2).numpy())


@pytest.mark.parametrize("options", [{}, {"cell": "qrnn", "num_layers": 2, "tie_embedding": True}])
def test_a_language_model_has_log_probabilities_in_the_places_of_the_tokens(options: dict[str, Any]) -> None:
    model: LanguageModel = language_model(**options)
    assert model.encoder is not None
    inputs, lengths = _batch(model)
    files = exported(model).files
    with torch.inference_mode():
        wanted = torch.log_softmax(model(inputs, lengths)[0], 2).numpy()
    for found in (_run(files["model.onnx"], inputs, lengths), _step_by_step(files, inputs)[3:4]):
        assert found.shape[2] == model.encoder.vocab_size
        assert np.isneginf(found[:, :, 0]).all()  # padding never comes next
        _assert_close(found[:, :, UNKNOWN:], wanted[-len(found) :] if len(found) > 1 else wanted[3:4])


def test_the_initial_state_is_told_where_it_is_not_zero() -> None:
    about = json.loads(exported(_features(cell="slstm")).files["model.json"])["step.onnx"]
    assert about["initial_state"] == {"state_0_h": 0.0, "state_0_c": 0.0, "state_0_2": 0.0, "state_0_3": -1e4}


class Learnt(RecurrentLayer):
    """A cell of a user's own, whose state is no vector and begins with numbers that are learnt."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.first = torch.nn.Parameter(torch.empty(hidden_size, 2))
        self.weight = torch.nn.Linear(input_size, hidden_size)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.first.expand(x.size(0), -1, -1),)

    def step(self, x_t: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        (pair,) = self.begin(x_t, state)
        new = torch.stack((torch.tanh(self.weight(x_t) + pair[:, :, 1]), 0.9 * pair[:, :, 0]), 2)
        return new.sum(2), (new,)


class Bent(Learnt):
    """One that asks a number what to do: what is traced does the same for every number."""

    def step(self, x_t: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        output, state = super().step(x_t, state)
        return (output if x_t.sum() > 0 else -output), state


class Unknown(Learnt):
    """One with an operation that ONNX has no operator for."""

    def step(self, x_t: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        output, state = super().step(x_t, state)
        return torch.special.bessel_j0(output), state


class Growing(Learnt):
    """One whose state has another shape after each step."""

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.new_zeros(x.size(0), 1),)

    def step(self, x_t: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        (before,) = self.initial_state(x_t) if state is None else state
        return self.weight(x_t) + before.sum(1, keepdim=True), (torch.cat((before, x_t[:, :1]), 1),)

    def _given_or_initial(self, x: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        return self.initial_state(x) if state is None else state


class Nested(RecurrentLayer):
    """One that is made of others, and has two tensors of state."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.inner = torch.nn.Sequential(GRU(input_size, hidden_size), GRU(hidden_size, hidden_size))

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.new_full((x.size(0), self.hidden_size), value) for value in (0.25, 0.5))

    def step(self, x_t: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        after = []
        for layer, before in zip(self.inner, self.begin(x_t, state), strict=True):
            x_t, (new,) = layer.step(x_t, (before,))
            after.append(new)
        return x_t, tuple(after)


def _of(layer: type[RecurrentLayer]) -> SequenceClassifier:
    model = feature_model(FIVE, hidden_size=3)
    model.recurrent.layers[0] = layer(3, 3)
    return _random(model)


@pytest.mark.parametrize("layer", [Learnt, Nested])
def test_a_cell_of_ones_own_needs_nothing_but_its_step(layer: type[RecurrentLayer]) -> None:
    model = _of(layer)
    inputs, lengths = _batch(model)
    files = exported(model).files
    _assert_close(_run(files["model.onnx"], inputs, lengths), _probabilities(model, inputs, lengths))
    (after,) = _step_by_step(files, inputs)[:, -1:].swapaxes(0, 1)
    _assert_close(after, _probabilities(model, inputs, torch.full((len(inputs),), inputs.size(1))))


def test_a_cell_that_decides_by_numbers_is_found_out() -> None:
    with pytest.raises(FailedError, match=r"model\.onnx differs from the model by"):
        exported(_of(Bent))


def test_a_cell_whose_state_grows_is_found_out(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FailedError, match=r"model\.onnx cannot be run: .*"):
        exported(_of(Growing))
    assert capfd.readouterr() == ("", "")


def test_a_cell_that_onnx_cannot_express_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"a step of the layer Unknown cannot be written as ONNX: .*bessel_j0"):
        exported(_of(Unknown))
    assert capfd.readouterr() == ("", "")


def test_what_is_exported_stays_as_it_was() -> None:
    model = _features(cell="gru_ln", cell_options={"zoneout": 0.5})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    exported(model, int8=True)
    assert not model.training
    assert not any(module.training for module in model.recurrent.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_8_bits_are_smaller_and_nearly_the_same(cell: str) -> None:
    model = _random(text_model(cell=cell, hidden_size=64, embedding_size=128))
    found = exported(model, int8=True)
    assert len(found.files["int8.onnx"]) < 0.7 * len(found.files["model.onnx"])
    assert 0 < found.trials["int8.onnx"].difference < 0.1
    inputs, lengths = _batch(model)
    wanted = _probabilities(model, inputs, lengths)
    np.testing.assert_allclose(_run(found.files["int8.onnx"], inputs, lengths), wanted, atol=0.1)
