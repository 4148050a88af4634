"""Each of the data sets that tell layers apart, from its config to its predictions, small."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rnn_lightning import Facts, load, registry
from rnn_lightning.data.base import SequenceData
from tests.cli.helpers import measured, one_mistake, only_run, recorded
from tests.conftest import Command
from tests.tasks.helpers import ENCODER, TWO, saved, tagger

SIZES = ("--data.num_train=60", "--data.num_val=30", "--data.num_test=20")
KINDS = {
    "adding": ("--data.num_steps=12", *SIZES),
    "copy_memory": ("--data.num_steps=3", *SIZES),
    "digits": (),
    "parity": ("--data.max_steps=8", "--data.test_steps=20", *SIZES),
    "selective_copy": ("--data.num_steps=10", *SIZES),
    "temporal_order": ("--data.num_steps=10", *SIZES),
}
CHANCE = {
    "adding": "val_mse 0.1667",
    "copy_memory": "val_loss 2.0794  val_accuracy 0.1250",
    "digits": "val_accuracy 0.1000",
    "parity": "val_accuracy 0.5000",
    "selective_copy": "val_loss 2.0794  val_accuracy 0.1250",
    "temporal_order": "val_accuracy 0.2500",
}
EACH = pytest.mark.parametrize("kind", KINDS)


def _fit(command: Command, kind: str, *words: object) -> str:
    options = ("--model.hidden_size=4", "--trainer.max_epochs=1", *KINDS[kind])
    result = command("fit", "--config", f"{kind}.yaml", *options, *words)
    assert (result.code, result.err) == (0, ""), result
    return result.out


def _data() -> SequenceData:
    """The data of the one run there is."""
    section = recorded(only_run())["data"]
    data: SequenceData = registry.resolve("data", section["class_path"].rpartition(".")[2])(**section["init_args"])
    data.setup("predict")
    return data


@EACH
def test_it_is_trained_tested_and_predicted(command: Command, kind: str) -> None:
    lines = _fit(command, kind).splitlines()
    assert lines[0].startswith(f"Training lstm on {kind}  ·  run ")
    count = 359 if kind == "digits" else 20
    assert lines[1].endswith(f"/ {count} test sequences")
    assert lines[2] == f"  chance level: {CHANCE[kind]}"
    assert sum("chance level" in line for line in lines) == 1
    tested = command("test")
    assert (tested.code, tested.err) == (0, "")
    assert f"({count} sequences)" in tested.out
    score = measured(tested)["test_mse" if kind == "adding" else "test_accuracy"]
    assert 0 <= score < 1
    predicted = command("predict", "--output=out.jsonl")
    assert predicted.code == 0, predicted.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [row["index"] for row in rows] == list(range(count))
    shown = command("predict").out.splitlines()
    assert len(shown) == count
    model, data = load(only_run()), _data()
    for row, line in zip(rows, shown, strict=True):
        if kind == "adding":
            assert line == f"{row['value']:.4f}  {row['index']}"
        elif not data.facts.per_step:
            assert line == f"{row['label']}  {row['probability']:.4f}  {row['index']}"
        else:
            assert line == f"{' '.join(row['labels'])}  {row['index']}"
            assert len(row["labels"]) == len(row["probabilities"]) == data.test.lengths[row["index"]]
            assert set(row["labels"]) <= set(model.labels)


@EACH
def test_a_run_can_be_repeated(command: Command, kind: str) -> None:
    first, again = (re.findall(r"(?:train|val)_\w+ [\d.]+", _fit(command, kind)) for _ in range(2))
    other = re.findall(r"(?:train|val)_\w+ [\d.]+", _fit(command, kind, "--data.data_seed=1"))
    assert first == again != other


@EACH
def test_it_has_a_baseline_without_a_network(command: Command, kind: str) -> None:
    result = command("baseline", "--config", f"{kind}.yaml", *KINDS[kind])
    assert (result.code, result.err) == (0, "")
    name, *lines = result.out.splitlines()
    assert name == f"Baselines on {kind}"
    assert lines[1].startswith("  always the mean:  val_mse 0." if kind == "adding" else "  always ")
    # With a class for each step the constant stands alone; a linear model on all steps wants sequences of one length.
    wanted = {"copy_memory": 1, "parity": 1, "selective_copy": 1, "adding": 3, "digits": 3}
    assert len(lines) == 1 + wanted.get(kind, 2)


@pytest.mark.parametrize("kind", ["selective_copy", "temporal_order"])
@pytest.mark.parametrize("architecture", ["rnn", "gru", "bilstm", "stacked_lstm"])
def test_any_architecture_goes_with_it(command: Command, kind: str, architecture: str) -> None:
    out = _fit(command, kind, "--config", f"{architecture}.yaml", "--model.hidden_size=4")
    assert out.startswith(f"Training {architecture} on {kind}  ·  run ")


def test_the_labels_of_a_text_stand_behind_its_tokens(command: Command) -> None:
    path = saved(tagger(Facts(None, TWO, ENCODER, per_step=True)), Path("model.ckpt"))
    result = command("predict", "--ckpt_path", path, "--text", "Good film, bad", "--text", "")
    assert result.code == 0, result.err
    tokens, nothing = result.out.splitlines()
    assert re.fullmatch(r"Good/(no|yes) film/(no|yes) ,/(no|yes) bad/(no|yes)  Good film, bad", tokens)
    assert nothing.strip() == ""
    command("predict", "--ckpt_path", path, "--text", "Good film", "--output=out.jsonl")
    (row,) = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert list(row) == ["text", "tokens", "labels", "probabilities"]
    assert row["tokens"] == ["Good", "film"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config=parity.yaml", "--data.max_steps=2"], "max_steps is 2, below min_steps, which is 3"),
        (["--config=selective_copy.yaml", "--data.num_tokens=65"], "num_tokens is 65, above num_steps, which is 64"),
        (["--config=temporal_order.yaml", "--data.num_steps=9"], "num_steps is 9; it must be at least 10"),
        (["--config=adding.yaml", "--data.num_step=9"], "AddingProblem has no option 'num_step'; did you mean"),
        (["--config=digits.yaml", "--data.num_train=9"], "Digits has no option 'num_train'"),
        (["--config=coppy_memory.yaml"], "did you mean 'copy_memory.yaml'?"),
        (["--data=Adding"], "did you mean 'AddingProblem'?"),
        (["--data=CopyMemory"], "this data has a target for each step, not one for a sequence: SequenceTagger learns"),
        (["--model=SequenceTagger"], "one target for each sequence, none for its steps: SequenceClassifier learns it"),
        (["--model=SequenceTager"], "did you mean 'SequenceTagger'?"),
        (["--model=SequenceTagger", "--model.pooling=last"], "SequenceTagger has no option 'pooling'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told(command: Command, words: list[str], said: str) -> None:
    one_mistake(command("fit", *words), said)
    assert not Path("runs").exists()


def test_a_tagger_writes_no_text(command: Command) -> None:
    _fit(command, "parity")
    one_mistake(command("generate", "--prompt=a"), "no run under runs/ to generate")
    one_mistake(command("generate", "--prompt=a", "--run", only_run()), "generate wants a LanguageModel")
    one_mistake(command("predict", "--text=a"), "this model was trained on sequences of numbers: it reads no text")


def test_data_without_a_chance_level_says_nothing_of_it(command: Command) -> None:
    result = command("fit", "--model.hidden_size=4", "--trainer.max_epochs=1", *SIZES)
    assert result.code == 0
    assert "chance level" not in result.out
