"""`export`: files that run without torch, and the example that stands beside them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnn_lightning import Facts, Scaling, SequenceClassifier, load
from rnn_lightning.batch import Batch
from rnn_lightning.export.files import exported
from tests.cli.helpers import files, one_mistake
from tests.conftest import Command, Result, _run
from tests.tasks.helpers import ENCODER, FIVE, feature_model, tagger

TEXTS = ("Two hours I will never get back.", "", "a small<br />MIRACLE " * 300, "Scho\u0308n. 電影很好看 😀")
WHOLE = ["encoder.json", "example.py", "model.json", "model.onnx"]
WITHOUT_TORCH = """
import runpy, sys
sys.modules.update(torch=None, lightning=None, rnn_lightning=None)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _example(folder: Path, *words: object) -> list[str]:
    """What the example prints in a process that can import neither torch nor this package."""
    result = _run([sys.executable, "-c", WITHOUT_TORCH, str(folder / "example.py"), *map(str, words)])
    assert result.code == 0, result.err
    return result.out.splitlines()


def _exported(command: Command, *options: object) -> Result:
    result = command("export", *options)
    assert result.code == 0, result.err
    assert result.err == ""
    return result


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def test_the_example_says_of_texts_what_predict_says(command: Command, review_run: Path) -> None:
    result = _exported(command)
    assert files(review_run / "export") == WHOLE
    assert "No file for single steps: the pooling mean_max" in result.out
    wanted = load(review_run).predict_text(TEXTS)
    assert _example(review_run / "export", *TEXTS) == [
        f"{label}  {probability:.4f}  {text}" for text, (label, probability) in zip(TEXTS, wanted, strict=True)
    ]


def test_the_example_reads_features_from_files(command: Command, feature_run: Path) -> None:
    result = _exported(command, "--output", "model")
    assert "step.onnx" in result.out
    one, other = np.random.default_rng(0).normal(size=(2, 7, 3))
    np.save("one.npy", one)
    np.savetxt("other.csv", other, delimiter=",")
    inputs = torch.tensor(np.stack((one, other)), dtype=torch.float32)
    wanted = load(feature_run).predict_step(Batch(inputs, torch.tensor([7, 7])), 0)
    assert _example(Path("model"), "one.npy", "other.csv") == [
        f"{label}  {probability:.4f}  {name}"
        for name, (label, probability) in zip(("one.npy", "other.csv"), wanted, strict=True)
    ]


def test_the_example_names_the_next_tokens_as_predict_does(command: Command, workplace: Path) -> None:
    few = ("--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1", "--model.hidden_size=8")
    assert command("fit", "--config=next_word.yaml", *few).code == 0
    wanted = command("predict", "--text=我", "--text=我 喜欢").out.splitlines()
    _exported(command, "--output=model")
    assert _example(Path("model"), "我", "我 喜欢") == wanted


def test_the_example_labels_the_steps_of_texts_and_features(workplace: Path) -> None:
    model = tagger(Facts(None, FIVE, ENCODER, per_step=True))
    _write(Path("words"), exported(model).files)
    texts = ("Good / bad film.", "good " * 9, "")
    wanted = model.predict_text(texts)
    assert _example(Path("words"), *texts) == [
        f"{' '.join(f'{token}/{label}' for token, label in zip(tokens, labels, strict=True))}  {text}"
        for text, (tokens, labels, _) in zip(texts, wanted, strict=True)
    ]
    model = tagger(Facts(2, FIVE, per_step=True))
    _write(Path("numbers"), exported(model).files)
    Path("steps.csv").write_text("0.5,1\n-2,3\n1,1\n")
    (steps,) = model.predict_step(Batch(torch.tensor([[[0.5, 1], [-2, 3], [1, 1]]]), torch.tensor([3])), 0)
    assert _example(Path("numbers"), "steps.csv") == [f"{' '.join(steps.labels)}  steps.csv"]


def test_the_example_prints_the_number_of_a_regression(workplace: Path) -> None:
    model = feature_model((), input_size=1)
    _write(Path("model"), exported(model).files)
    Path("steps.csv").write_text("0.5\n-2\n")
    ((value,),) = model.predict_step(Batch(torch.tensor([[[0.5], [-2]]]), torch.tensor([2])), 0)
    assert _example(Path("model"), "steps.csv") == [f"{value:.4f}  steps.csv"]


def test_raw_features_give_numbers_in_their_unit(workplace: Path) -> None:
    features, price = Scaling(("x", "y"), (100.0, -3.0), (10.0, 0.5)), Scaling(("price",), (1e5,), (57.0,))
    torch.manual_seed(0)
    model = SequenceClassifier(hidden_size=4)
    model.adopt(Facts(2, (), scaling=features, target_scaling=price))
    model.is_trained = True
    found = exported(model).files
    assert "step.onnx" in found
    _write(workplace / "own", found)
    raw = np.array([[90.0, -3.0], [120.0, -2.5]])
    np.save("raw.npy", raw)
    (value,) = (float(line.split()[0]) for line in _example(workplace / "own", "raw.npy"))
    assert value == pytest.approx(model.predict_series([raw])[0].value, abs=0.1)
    assert abs(value - 1e5) > 1


def test_the_table_names_each_file_its_size_and_what_was_tried(command: Command, feature_run: Path) -> None:
    result = _exported(command, "--int8")
    folder = feature_run / "export"
    for name in files(folder):
        (line,) = (line for line in result.out.splitlines() if line.strip().startswith(f"{name} "))
        assert f"{(folder / name).stat().st_size / 1000:.1f} kB" in line
        assert ("x" in line.removeprefix(f"  {name}")) == name.endswith(".onnx")
    assert result.out.splitlines()[-1] == f"Next: python {folder / 'example.py'} sequence.npy"


def test_a_new_export_takes_the_place_of_an_old_one_and_nothing_else(command: Command, feature_run: Path) -> None:
    _exported(command, "--int8")
    folder = feature_run / "export"
    (folder / "notes.txt").write_text("mine")
    (folder / "encoder.json").write_text("of another model")
    _exported(command)
    assert files(folder) == ["example.py", "model.json", "model.onnx", "notes.txt", "step.onnx"]
    assert [path.name for path in feature_run.iterdir() if "unfinished" in path.name] == []


def test_what_a_program_has_to_know_stands_in_model_json(command: Command, review_run: Path) -> None:
    _exported(command)
    about = json.loads((review_run / "export" / "model.json").read_text("utf-8"))
    assert about["labels"] == ["negative", "positive"]
    assert about["keep"] == [100, 300]  # max_length 400, truncate head_tail
    assert about["model.onnx"]["inputs"] == {"inputs": ["batch", "time"], "lengths": ["batch"]}
    assert about["model.onnx"]["outputs"] == {"probabilities": ["batch", 2]}


def _plugin_run(command: Command, plugin: Path, output: str) -> Path:
    """A run on a layer of a plugin's, whose output is this of its state h."""
    code = plugin / "leaky_rnn.py"
    code.write_text(code.read_text("utf-8").replace("return h, (h,)", f"return {output}, (h,)"), "utf-8")
    small = ("--data.num_train=50", "--data.num_val=20", "--trainer.max_epochs=1", "--model.hidden_size=2")
    assert command("fit", "--model.cell=leaky", *small).code == 0
    (run,) = Path("runs").glob("leaky-*/*")
    return run


def test_a_plugins_cell_is_exported(command: Command, plugin: Path) -> None:
    run = _plugin_run(command, plugin, "torch.tanh(h)")
    _exported(command)
    assert files(run / "export") == ["example.py", "model.json", "model.onnx", "step.onnx"]


def test_files_that_say_something_else_are_not_kept(command: Command, plugin: Path) -> None:
    run = _plugin_run(command, plugin, "h if x_t.sum() > 0 else -h")
    result = command("export")
    assert result.code == 1
    assert result.err.startswith("rnn-lightning: nothing is exported: model.onnx differs from the model by")
    assert result.err.count("\n") == 1
    assert not (run / "export").exists()


def test_a_cell_that_onnx_cannot_express_is_told_in_a_line(command: Command, plugin: Path) -> None:
    run = _plugin_run(command, plugin, "torch.special.i0(h)")
    one_mistake(command("export"), "a step of the layer Leaky cannot be written as ONNX", "i0")
    assert not (run / "export").exists()


def test_a_task_of_ones_own_is_refused(command: Command, plugin: Path) -> None:
    assert command("fit", "--model=MeanOfSteps", "--trainer.max_epochs=1", "--data.num_train=50").code == 0
    one_mistake(command("export"), "a MeanOfSteps cannot be exported", "LanguageModel")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--int9"], ["--int9", "did you mean '--int8'"]),
        (["--int8=yes"], ["--int8 takes no value"]),
        (["model"], ["model"]),
        (["--output"], ["--output wants a value"]),
        (["--output="], ["--output wants a value"]),
        (["--output=taken.txt"], ["taken.txt is a file"]),
        (["--output=taken.txt/model"], ["taken.txt/model cannot be written"]),
        (["--run=nothing"], ["there is no run 'nothing'"]),
        (["--ckpt_path=alone.ckpt"], ["alone.ckpt stands outside a run folder", "--output FOLDER"]),
        (["--model.hidden_size=3"], ["--model.hidden_size", "as it was trained"]),
    ],
)
def test_mistakes_are_told_in_a_line(command: Command, feature_run: Path, options: list[str], parts: list[str]) -> None:
    Path("taken.txt").touch()
    Path("alone.ckpt").write_bytes((feature_run / "checkpoints" / "best.ckpt").read_bytes())
    before = files(Path())
    one_mistake(command("export", *options), *parts)
    assert files(Path()) == before


def test_a_lone_checkpoint_is_exported_to_a_folder_that_is_named(command: Command, feature_run: Path) -> None:
    os.replace(feature_run / "checkpoints" / "best.ckpt", "alone.ckpt")
    _exported(command, "--ckpt_path=alone.ckpt", "--output=deep/model")
    assert "model.onnx" in files(Path("deep/model"))


def test_without_the_extra_a_line_says_what_to_install(
    command: Command, feature_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    one_mistake(command("export"), "pip install 'rnn-lightning[export]'")
