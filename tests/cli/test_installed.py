"""The installed command, as a process of its own: from the first training to the last pipe."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rnn_lightning import load
from rnn_lightning.cli import predictions
from tests.cli.helpers import epochs, files, measured, one_mistake, only_run
from tests.conftest import SMALL, Command, Result

TWO_PROCESSES = ("--config=presets/ddp.yaml", "--trainer.accelerator=cpu", "--trainer.devices=2")


def test_train_test_and_predict_from_an_empty_folder(program: str, workplace: Path) -> None:
    def started(*words: str) -> Result:
        done = subprocess.run([program, *words], check=False, capture_output=True, text=True, timeout=300)
        return Result(done.returncode, done.stdout, done.stderr)

    fitted = started("fit", "--config", "lstm.yaml", *SMALL)
    assert (fitted.code, fitted.err) == (0, "")
    run = only_run()
    assert fitted.out.splitlines()[0] == f"Training lstm on synthetic  ·  run {run}"
    tested = started("test")
    assert (tested.code, tested.err) == (0, "")
    assert set(measured(tested)) == {"test_loss", "test_accuracy", "test_auroc", "test_f1"}
    predicted = started("predict")
    assert predicted.code == 0
    assert len(predicted.out.splitlines()) == 90
    assert predicted.err.startswith("Predicting with the best checkpoint of the newest run")
    assert len(predicted.err.splitlines()) == 1
    assert files(Path()) == [
        f"{run.as_posix()}/{name}"
        for name in (
            "checkpoints/best.ckpt",
            "checkpoints/last.ckpt",
            "checkpoints/previous.ckpt",
            "config.yaml",
            "metrics.csv",
            "test/metrics.json",
            "test/predictions.jsonl",
        )
    ]


def test_texts_come_from_standard_input(installed: Command, review_run: Path) -> None:
    texts = ["A wonderful film", "", "awful — schön 😀"]
    result = installed("predict", "-", "--output=out.jsonl", given="\ufeff" + "\r\n".join(texts))
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == texts
    for row, wanted in zip(rows, load(review_run).predict_text(texts), strict=True):
        assert row["label"] == wanted.label
        assert row["probability"] == pytest.approx(wanted.probability, abs=1e-6)


def test_standard_input_that_is_no_text_is_told(
    program: str, review_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [program, "predict", "--file", "-", "--output=out.jsonl"]
    done = subprocess.run(words, check=False, input=b"good\ncaf\xe9\n", capture_output=True, timeout=300)
    assert done.returncode == 2
    assert "rnn-lightning: standard input is not UTF-8 text" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error(program: str, feature_run: Path, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    line = f"set -o pipefail; '{program}' predict --data.num_test=20000 | head -n 2"
    done = subprocess.run(
        ["bash", "-c", line], check=False, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("Predicting with the best checkpoint")


def test_a_mistake_is_one_line_and_exit_code_2(installed: Command) -> None:
    result = installed("fit", "--model.hiden_size=3")
    said = "rnn-lightning: SequenceClassifier has no option 'hiden_size'; did you mean 'hidden_size'?\n"
    assert result == (2, "", said)
    assert list(Path().iterdir()) == []


def test_a_file_that_is_a_pickle_is_refused_in_a_few_lines(installed: Command) -> None:
    import pickle

    Path("x.ckpt").write_bytes(pickle.dumps({"state_dict": {}}))
    one_mistake(installed("test", "--ckpt_path", "x.ckpt"), "x.ckpt is not a checkpoint")


def test_two_processes_train_and_score_as_one(installed: Command) -> None:
    odd = (*SMALL, "--data.num_val=101", "--data.num_test=91", "--data.min_steps=1", "--data.num_steps=9")
    two = installed("fit", *odd, *TWO_PROCESSES, "--data.batch_size=32")
    assert two.code == 0, two.err
    run = only_run()
    kept = [f"checkpoints/{name}.ckpt" for name in ("best", "last", "previous")]
    assert files(run) == [*kept, "config.yaml", "metrics.csv"]
    assert [line.split()[0] for line in two.out.splitlines()].count("Training") == 1
    assert sum(line.startswith("epoch ") for line in two.out.splitlines()) == 2

    kept, sequences = [], []
    for options in (TWO_PROCESSES, ()):
        result = installed("test", *options)
        assert result.code == 0, result.err
        assert sum("test_loss" in line for line in result.out.splitlines()) == 1
        kept.append(json.loads((run / "test" / "metrics.json").read_text()))
        sequences.append(predictions.read(run))
        assert result.out.splitlines()[-1].endswith("(91 sequences)")
    for name in ("checkpoint", "chance_level", "parameters"):
        assert kept[0].pop(name) == kept[1].pop(name)
    intervals, wanted = (content.pop("intervals") for content in kept)
    assert set(intervals) == set(wanted) == set(kept[0])
    for name, interval in wanted.items():
        assert intervals[name] == pytest.approx(interval, abs=1e-6), name
    assert kept[0] == pytest.approx(kept[1], abs=1e-6)
    for name, values in sequences[0].items():
        if values.dtype.kind == "f":
            assert values == pytest.approx(sequences[1][name], rel=1e-4, abs=1e-6), name
        else:
            assert values.tolist() == sequences[1][name].tolist(), name
    assert list(Path("runs").glob("*/*")) == [run]

    # The same batches in one process are the same training.
    one = installed("fit", *odd, "--data.batch_size=64")
    assert one.code == 0, one.err
    (alone,) = set(Path("runs").glob("*/*")) - {run}
    for row, wanted in zip(epochs(run), epochs(alone), strict=True):
        assert row == pytest.approx(wanted, rel=1e-3)


def test_fewer_sequences_than_processes_are_told(installed: Command, feature_run: Path) -> None:
    one_mistake(
        installed("test", *TWO_PROCESSES, "--data.num_test=1"),
        "the test part has 1 sequence, too few for 2 processes: give fewer --trainer.devices",
    )
    assert not (feature_run / "test").exists()
    result = installed("fit", *SMALL, *TWO_PROCESSES, "--data.num_val=1")
    one_mistake(result, "the validation part has 1 sequence, too few for 2 processes")
    assert list(Path("runs").glob("*/*")) == [feature_run]
