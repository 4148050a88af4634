"""Truncated back-propagation through time: what is carried from window to window, what is not, and what is resumed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.nn import functional

from rnn_lightning import LanguageModel, NextWord, load
from rnn_lightning.batch import PAD, Batch
from rnn_lightning.tasks.base import CHECKPOINT_KEY
from tests.tasks.helpers import silent_trainer

STEPS, ROWS = 7, 5
CELLS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru", "residual": True},
    "lstm": {"cell": "lstm", "num_layers": 2},
    "lstm_ln": {"cell": "lstm_ln"},
    "mingru": {"cell": "mingru", "num_layers": 2},
    "minlstm": {"cell": "minlstm"},
    "qrnn": {"cell": "qrnn", "num_layers": 2},
    "slstm": {"cell": "slstm", "prenorm": True},
    "dropped": {"cell": "lstm", "num_layers": 2, "layer_dropout": 0.5, "locked_dropout": True, "dropout": 0.3},
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """500 words: 399 steps to train on, 49 to validate and to test on, which five does not divide."""
    path = tmp_path / "text"
    path.write_text(" ".join(f"w{i * i % 23}" for i in range(500)))
    return path


def _data(text: Path, **options: Any) -> NextWord:
    return NextWord(str(text), **{"num_steps": STEPS, "batch_size": ROWS, "streams": True, **options})


def _model(**options: Any) -> LanguageModel:
    """A model that learns by plain gradient descent."""
    model = LanguageModel(**{"cell": "lstm", "hidden_size": 6, "embedding_size": 4, **options})
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.5)  # type: ignore[method-assign]
    return model


def _fit(model: LanguageModel, data: NextWord, ckpt_path: Path | None = None, **options: Any) -> pl.Trainer:
    keeps = any(isinstance(callback, ModelCheckpoint) for callback in options.get("callbacks", []))
    quiet = {"max_epochs": 2, "limit_val_batches": 0, "num_sanity_val_steps": 0, "enable_checkpointing": keeps}
    trainer = silent_trainer(**{**quiet, **options})
    torch.manual_seed(0)  # the weights are made now
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def _weights(model: LanguageModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def _assert_same(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 0.0) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=0, atol=tolerance, msg=lambda text, name=name: name + text)


def _columns(text: Path, part: str = "train") -> list[Tensor]:
    """The streams of a part by plain cutting, each with the token after its last step, in the model's ids."""
    data = _data(text)
    data.setup("fit")
    ids = torch.from_numpy(getattr(data, part).whole().values)
    last = torch.from_numpy(getattr(data, part).whole().targets[-1:])
    tokens, steps = torch.cat((ids, last)), len(ids)
    bounds = [steps * row // ROWS for row in range(ROWS + 1)]
    return [tokens[bounds[row] : bounds[row + 1] + 1] for row in range(ROWS)]


def _windows(columns: list[Tensor], size: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Inputs and targets of each stream's next window."""
    pairs = [(column[:-1], column[1:]) for column in columns]
    for start in range(0, max(map(len, columns)) - 1, size):
        yield [(inputs[start : start + size], targets[start : start + size]) for inputs, targets in pairs]


def _by_hand(model: LanguageModel, columns: list[Tensor]) -> None:
    """One epoch: each stream by itself, its state kept as numbers, the loss averaged over all streams' tokens."""
    optimizer = model.configure_optimizers()
    states: list[Any] = [None] * len(columns)
    for window in _windows(columns, STEPS):
        nats, count = torch.tensor(0.0), sum(len(targets) for _, targets in window)
        for row, (inputs, targets) in enumerate(window):
            if len(targets):
                logits, state = model(inputs.unsqueeze(0), None, states[row])
                states[row] = tuple(
                    tuple(torch.tensor(t.tolist(), dtype=torch.float64) for t in layer) for layer in state
                )
                nats = nats + functional.cross_entropy(logits[0], targets - 1, reduction="sum")
        optimizer.zero_grad()
        (nats / count).backward()
        optimizer.step()


@pytest.mark.parametrize("options", [value for name, value in CELLS.items() if name != "dropped"], ids=str)
def test_it_trains_as_a_loop_over_windows_with_a_detached_state(text: Path, options: dict[str, Any]) -> None:
    data = _data(text)
    data.setup("fit")
    models = _model(**options), _model(**options)
    for model in models:
        torch.manual_seed(0)
        model.adopt(data.facts)
        model.double()
    _fit(models[0], _data(text), precision="64-true")
    for _ in range(2):
        _by_hand(models[1].train(), _columns(text))
    assert [len(column) - 1 for column in _columns(text)] == [79, 80, 80, 80, 80]
    _assert_same(_weights(models[0]), _weights(models[1]), 1e-9)


def test_it_matters_that_the_state_is_carried(text: Path) -> None:
    model, forgetful = _model(), _model()
    _fit(model, _data(text))
    forgetful._carried.before = lambda part, batch_idx: None  # type: ignore[method-assign]
    _fit(forgetful, _data(text))
    with pytest.raises(AssertionError):
        _assert_same(_weights(model), _weights(forgetful), 1e-3)


class _Gradients(Callback):
    """The gradient of each batch, and whether the state that is kept knows how it came about."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def on_after_backward(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.seen.append({name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None})
        layers = pl_module._carried.before("train", 1)
        assert len(layers) == pl_module.hparams["num_layers"]
        assert not any(tensor.requires_grad for layer in layers for tensor in layer)


def test_with_a_window_as_long_as_the_streams_it_is_plain_back_propagation(text: Path) -> None:
    gradients = _Gradients()
    # A stream has a window at least: with the longest that all five of them have, one step is left of four.
    columns = [column[:80] for column in _columns(text)]
    _fit(_model(num_layers=2), _data(text, num_steps=79), max_steps=1, callbacks=[gradients])
    reference = _model(num_layers=2)
    data = _data(text)
    data.setup("fit")
    torch.manual_seed(0)
    reference.adopt(data.facts)
    logits, _ = reference(torch.stack([column[:-1] for column in columns]))
    targets = torch.stack([column[1:] for column in columns]) - 1
    functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    assert len(gradients.seen) == 1
    _assert_same(gradients.seen[0], {name: p.grad for name, p in reference.named_parameters() if p.grad is not None})


def test_two_windows_accumulated_are_the_mean_of_their_gradients(text: Path) -> None:
    single, double, model = _Gradients(), _Gradients(), _model()
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.0)  # type: ignore[method-assign]
    _fit(model, _data(text), max_epochs=1, callbacks=[single])
    _fit(_model(), _data(text), max_steps=1, accumulate_grad_batches=2, callbacks=[double])
    wanted = {name: (single.seen[0][name] + single.seen[1][name]) / 2 for name in single.seen[0]}
    _assert_same(double.seen[1], wanted, 1e-7)


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("options", CELLS.values(), ids=CELLS)
def test_a_score_is_that_of_each_whole_stream_in_one_pass(text: Path, split: str, options: dict[str, Any]) -> None:
    model = _model(**options)
    _fit(model, _data(text))
    nats = []
    for column in _columns(text, split):
        with torch.no_grad():
            logits, _ = model.eval()(column[:-1].unsqueeze(0))
        nats += functional.cross_entropy(logits[0], column[1:] - 1, reduction="none").tolist()
    trainer = silent_trainer()
    (found,) = (trainer.validate if split == "val" else trainer.test)(model, datamodule=_data(text), verbose=False)
    assert len(nats) == 49
    assert found[f"{split}_loss"] == pytest.approx(sum(nats) / 49, rel=1e-5)
    assert found[f"{split}_perplexity"] == pytest.approx(math.exp(sum(nats) / 49), rel=1e-5)
    if split == "test":
        low, high = model.intervals["test_loss"]
        assert low < found["test_loss"] < high


def test_scoring_twice_gives_the_same(text: Path) -> None:
    model = _model()
    _fit(model, _data(text))
    trainer = silent_trainer()
    first, second = (trainer.test(model, datamodule=_data(text), verbose=False) for _ in range(2))
    assert first == second


def test_a_validation_within_an_epoch_leaves_the_training_as_it_was(text: Path) -> None:
    alone, watched = _model(), _model()
    _fit(alone, _data(text))
    _fit(watched, _data(text), limit_val_batches=None, val_check_interval=3, num_sanity_val_steps=2)
    _assert_same(_weights(alone), _weights(watched))


def test_training_leaves_no_trace_in_the_score_of_the_same_weights(text: Path) -> None:
    class Scores(Callback):
        def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
            scores.append(float(trainer.callback_metrics["val_loss"]))

    scores: list[float] = []
    model = _model()
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=0.0)  # type: ignore[method-assign]
    _fit(model, _data(text), limit_val_batches=None, val_check_interval=3, num_sanity_val_steps=0, callbacks=[Scores()])
    assert len(scores) == 8
    assert len(set(scores)) == 1


def test_without_streams_nothing_is_carried(text: Path) -> None:
    model = _model()
    trainer = _fit(model, _data(text, streams=False))
    assert model._carried.before("train", 1) is None
    trainer.save_checkpoint(text.with_suffix(".ckpt"))
    assert "carried" not in torch.load(text.with_suffix(".ckpt"), weights_only=True)[CHECKPOINT_KEY]


def test_batches_without_a_trainer_stand_for_themselves(text: Path) -> None:
    model, data = _model(), _data(text)
    data.setup("fit")
    model.adopt(data.facts)
    batch: Batch = data.example()
    assert torch.equal(model.training_step(batch, 0), model.training_step(batch, 1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_epochs": -1, "max_steps": 20},
        {"max_epochs": 3, "limit_train_batches": 8},
        {"limit_val_batches": None, "val_check_interval": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [True, False], ids=["streams", "windows"])
def test_a_training_that_is_resumed_anywhere_ends_with_the_same_weights(
    text: Path, options: dict[str, Any], streams: bool
) -> None:
    folder = text.parent / "checkpoints"
    every = ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1, save_on_train_epoch_end=False)
    whole = _model(num_layers=2)
    steps = _fit(whole, _data(text, streams=streams), callbacks=[every], **options).global_step
    kept = sorted(folder.iterdir(), key=lambda path: int(path.stem.partition("=")[2]))
    assert len(kept) == steps
    for path in kept[4:-1:3]:
        model = _model(num_layers=2)
        trainer = _fit(model, _data(text, streams=streams), path, **options)
        assert trainer.global_step == steps
        _assert_same(_weights(model), _weights(whole))


def test_a_checkpoint_of_a_validation_within_an_epoch_is_resumed_too(text: Path) -> None:
    folder = text.parent / "checkpoints"
    best = ModelCheckpoint(folder, "{step}", monitor="val_loss", save_top_k=-1, save_on_train_epoch_end=False)
    options = {"limit_val_batches": None, "val_check_interval": 5}
    whole = _model()
    _fit(whole, _data(text), callbacks=[best], **options)
    within = [path for path in folder.iterdir() if int(path.stem.partition("=")[2]) % 12]
    assert len(within) == 4
    for path in within:
        model = _model()
        _fit(model, _data(text, num_workers=1), path, **options)
        _assert_same(_weights(model), _weights(whole))


def _stopped(text: Path, **options: Any) -> Path:
    """A checkpoint after five batches of an epoch of twelve."""
    keeper = ModelCheckpoint(text.parent, "stopped", every_n_train_steps=5, save_on_train_epoch_end=False)
    _fit(_model(**options), _data(text), max_steps=9, callbacks=[keeper])
    return text.parent / "stopped.ckpt"


def test_a_checkpoint_keeps_the_state_alone_and_loads_as_plain_tensors(text: Path) -> None:
    kept = torch.load(_stopped(text, num_layers=2), weights_only=True)[CHECKPOINT_KEY]["carried"]
    assert kept["num_batches"] == 12
    tensors = [tensor for layer in kept["layers"] for tensor in layer]
    assert [tensor.shape for tensor in tensors] == [(ROWS, 6)] * 4
    assert all(tensor.untyped_storage().nbytes() == 4 * tensor.numel() for tensor in tensors)


def test_a_checkpoint_within_an_epoch_works_alone(text: Path) -> None:
    model = load(_stopped(text))
    assert isinstance(model, LanguageModel)
    assert len(list(model.generate("w1", 5, seed=0))) == 5
    assert len(silent_trainer().test(model, datamodule=_data(text, batch_size=3), verbose=False)) == 1


def test_at_the_end_of_an_epoch_there_is_no_state_to_keep(text: Path) -> None:
    trainer = _fit(_model(), _data(text))
    trainer.save_checkpoint(text.with_suffix(".ckpt"))
    assert "carried" not in torch.load(text.with_suffix(".ckpt"), weights_only=True)[CHECKPOINT_KEY]


@pytest.mark.parametrize(
    ("options", "here"), [({"batch_size": 4}, "15 of 4"), ({"num_steps": 8}, "10 of 5")], ids=["streams", "windows"]
)
def test_within_an_epoch_a_training_goes_on_with_the_streams_it_began_with(
    text: Path, options: dict[str, int], here: str
) -> None:
    message = f"^the checkpoint was made within an epoch of 12 batches of 5 streams; an epoch has {here} here: [^\n]*$"
    with pytest.raises(ValueError, match=message):
        _fit(_model(), _data(text, **options), _stopped(text))


def test_between_epochs_it_goes_on_with_any_streams(text: Path) -> None:
    path = text.with_suffix(".ckpt")
    _fit(_model(), _data(text), max_epochs=1).save_checkpoint(path)
    for options in ({"batch_size": 3}, {"num_steps": 9}, {"streams": False}):
        assert _fit(_model(), _data(text, **options), path).global_step > 12


@pytest.mark.parametrize("train_in_streams", [True, False])
def test_a_transformer_is_told_that_its_state_would_grow(text: Path, train_in_streams: bool) -> None:
    model = _model(cell="transformer", hidden_size=8)
    if not train_in_streams:
        _fit(model, _data(text, streams=False), max_steps=1)
    run = silent_trainer(max_epochs=1).fit if train_in_streams else silent_trainer().test
    with pytest.raises(ValueError, match=r"^the state of a transformer grows with every step: it cannot be carried"):
        run(model, datamodule=_data(text))


def test_half_precision_carries_its_state(text: Path) -> None:
    for cell in ("lstm", "gru", "mingru", "slstm"):
        trainer = _fit(_model(cell=cell), _data(text), precision="bf16-mixed")
        assert trainer.global_step == 24
        assert float(trainer.callback_metrics["train_loss"]) < math.log(23)


def test_padding_at_the_end_of_a_stream_changes_nothing(text: Path) -> None:
    """49 steps in 5 streams: 9 or 10 steps, so the last window of 7 has 2 or 3."""
    data = _data(text)
    data.setup("fit")
    *_, last = data.val_dataloader()
    assert sorted(last.lengths.tolist()) == [2, 3, 3, 3, 3]
    assert (last.inputs == PAD).sum() == 1
