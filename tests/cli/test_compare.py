"""`rnn-lightning compare`: every row on every column with several seeds, once, and a table of it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import one_mistake, recorded
from tests.conftest import Command

SMALL = (
    *("--model.hidden_size=4", "--trainer.max_epochs=1", "--data.num_train=64", "--data.num_val=32"),
    "--data.num_test=32",
)
ADDING = "adding.yaml --data.num_steps=5"


def _table(out: str) -> list[list[str]]:
    """The cells of the printed table, without the rule below its head."""
    lines = [line for line in out.splitlines() if line.startswith("|") and not line.startswith("|-")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _is_png(path: str, least: int) -> bool:
    content = Path(path).read_bytes()
    return content.startswith(b"\x89PNG\r\n") and len(content) > least


def test_every_row_is_trained_on_every_column(command: Command) -> None:
    columns = {"sum": "test_mse", "first and last": "test_accuracy"}
    words = (
        *("compare", "--rows", "rnn.yaml", "simple: gru.yaml --model.cell mingru", "--columns", f"sum: {ADDING}"),
        *("first and last: --data=SyntheticSequences", "--seeds=1", "--config=all.yaml", *SMALL),
    )
    Path("all.yaml").write_text("trainer: {gradient_clip_val: 0.5}\nmodel: {init_args: {cell: lstm}}\n", "utf-8")
    result = command(*words)
    assert (result.code, result.err) == (0, ""), result
    runs = _rows("comparison/runs.csv")
    assert [(run["row"], run["column"], run["seed"]) for run in runs] == [
        (row, column, "1") for column in columns for row in ("rnn", "simple")
    ]
    # Two inputs, four features, a head; three inputs in the other column, and two blocks in the simple row.
    assert [int(run["parameters"]) for run in runs] == [28 + 5, 24 + 5, 32 + 5, 32 + 5]
    values = {(run["row"], run["column"]): float(run[columns[run["column"]]]) for run in runs}
    assert _table(result.out) == [
        ["", "sum, test_mse", "first and last, test_accuracy"],
        ["chance level", "0.1667", ""],
        *([row, *(f"{values[row, column]:.4f}" for column in columns)] for row in ("rnn", "simple")),
    ]
    assert len(set(values.values())) == 4
    assert _is_png("comparison/table.png", 5_000)
    assert {path.name for path in Path().iterdir()} == {"comparison", "all.yaml"}
    # What all trainings share comes before what a row says.
    used = [recorded(path.parent) for path in Path("comparison").rglob("config.yaml")]
    assert [config["trainer"]["gradient_clip_val"] for config in used] == [0.5] * 4
    assert sorted(config["model"]["init_args"]["cell"] for config in used) == ["mingru", "mingru", "rnn", "rnn"]
    assert _table(command(*words, "--metric=test_loss").out)[0] == ["", "sum, test_loss", "first and last, test_loss"]
    one_mistake(
        command(*words, "--metric=test_mea"), "'test_mea', which sum does not measure", "val_mae, ", "test_mae, "
    )


def test_what_was_trained_is_not_trained_again_unless_its_options_changed(command: Command) -> None:
    words = ("compare", "--rows=rnn.yaml", f"--columns=sum: {ADDING}", "--seeds=2", *SMALL)
    first = command(*words, "--jobs=2")
    one, two = (float(run["test_mse"]) for run in _rows("comparison/runs.csv"))
    assert _table(first.out)[2] == ["rnn", f"{(one + two) / 2:.4f} ± {abs(one - two) / 2**0.5:.4f}"]
    (line,) = _rows("comparison/table.csv")
    assert (line["chance"], line["seeds"]) == (str(1 / 6), "2")
    assert float(line["mean"]) == pytest.approx((one + two) / 2)
    assert float(line["standard_deviation"]) == pytest.approx(abs(one - two) / 2**0.5)
    again = command(*words)
    assert again.out.splitlines()[0] == "2 of 2 trainings stand in comparison/ already"
    assert "[1/" not in again.out
    Path("comparison/sum/rnn/seed-2/result.json").write_text("{", "utf-8")  # damaged
    mended = command(*words)
    assert "[1/1] rnn on sum, seed 2: test_mse " in mended.out
    # Alone or side by side with another: the same.
    assert _table(mended.out) == _table(again.out) == _table(first.out)
    changed = command(*words, "--seeds=1", "--data.num_steps=6")
    assert "trainings stand" not in changed.out


def test_a_training_that_fails_stops_no_other_and_is_tried_again(command: Command) -> None:
    (Path("mine.yaml")).write_text("data: {class_path: NextWord, init_args: {path: text.txt}}\n", "utf-8")
    words = ("compare", "--rows=rnn.yaml", "--columns", "next_word.yaml", "book: next_word.yaml --config mine.yaml")
    small = ("--seeds=1", "--model.hidden_size=4", "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1")
    result = command(*words, *small)
    assert result.code == 1
    assert result.err == "rnn-lightning: failed: rnn on book, seed 1; see comparison/book/rnn/seed-1/log.txt\n"
    assert "[2/2] rnn on book, seed 1: failed" in result.out
    assert "text.txt" in Path("comparison/book/rnn/seed-1/log.txt").read_text("utf-8")
    assert _table(result.out)[0] == ["", "next_word, test_perplexity"]
    Path("text.txt").write_text("a b c d a b c d", "utf-8")
    mended = command(*words, *small)
    assert mended.code == 0
    assert _table(mended.out)[0] == ["", "next_word, test_perplexity", "book, test_perplexity"]


NOT_IGNORED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A shell that runs the tests in the background has interruptions ignored by all that they start."""


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, 130, "Stopped. The same command goes on with what is missing in comparison/.\n"),
        (signal.SIGTERM, 143, "Stopped. The same command goes on with what is missing in comparison/.\n"),
    ],
)
def test_an_interrupted_comparison_leaves_no_process_and_goes_on(
    command: Command, program: str, workplace: Path, sent: int, code: int, said: str
) -> None:
    words = ("compare", "--rows=rnn.yaml", f"--columns={ADDING}", "--seeds=3", *SMALL)
    started = [sys.executable, "-c", NOT_IGNORED, program, *words]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("[1/3] rnn")
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (code, said)
    assert not [path for path in Path("/proc").glob("[0-9]*/cwd") if _is_here(path, workplace)]
    finished = len(list(Path("comparison").rglob("result.json")))
    assert 1 <= finished < 3
    result = command(*words)
    assert result.out.splitlines()[0] == f"{finished} of 3 trainings stand in comparison/ already"
    assert len(_rows("comparison/runs.csv")) == 3


def _is_here(cwd: Path, workplace: Path) -> bool:
    """Whether another process has its working directory here."""
    try:
        return cwd.resolve() == workplace.resolve() and cwd.parent.name != str(os.getpid())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("compare wants --rows: what is compared, for example --rows lstm.yaml gru.yaml",)),
        (("--rows", "rnn.yaml"), ("compare wants --columns: what it is compared on",)),
        (("--rows", "rn.yaml", "--columns", "adding.yaml"), ("no config 'rn.yaml'", "did you mean 'rnn.yaml'?")),
        (("rnn.yaml", "--columns", "adding.yaml"), ("'rnn.yaml' stands alone: is it one of --rows or of --columns?",)),
        (("--rows", "rnn.yaml", "--colums", "x"), ("compare has no option --colums", "did you mean '--columns'?")),
        (("--rows", "rnn.yaml", "rnn.yaml", "--columns", "adding.yaml"), ("two of --rows are called 'rnn'",)),
        (("--rows", "a: rnn.yaml 'b", "--columns", "adding.yaml"), ("--rows 'a: rnn.yaml 'b': No closing quotation",)),
        (
            ("--rows", "rnn.yaml", "--columns", "adding.yaml", "--seeds=0"),
            ("--seeds wants a whole number, at least 1",),
        ),
        (("--rows", "rnn.yaml", "--columns", "adding.yaml", "--jobs=x"), ("--jobs wants a whole number",)),
        (("--rows", "rnn.yaml", "--columns", "adding.yaml", "--seed_everything=3"), ("takes the seeds 1 to --seeds",)),
        (
            ("--rows", "rnn.yaml --model.hiden_size 3", "--columns", "adding.yaml"),
            ("rnn --model.hiden_size=3 on adding: SequenceClassifier has no option 'hiden_size'", "'hidden_size'?"),
        ),
        (
            ("--rows", "rnn.yaml", "bilstm.yaml", "--columns", "adding.yaml", "next_word.yaml"),
            ("bilstm on next_word: ", "a language model cannot be bidirectional"),
        ),
        (("--rows", "rnn.yaml", "--columns", "adding.yaml", "--trainer.max_epoch=3"), ("max_epoch",)),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_mistake_is_told_before_anything_is_trained(
    command: Command, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    one_mistake(command("compare", *words), *parts)
    assert not list(Path().iterdir())


WITHOUT = """
import importlib.metadata, sys
version = importlib.metadata.version
def version_of_others(name):
    if name == "matplotlib":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = version_of_others
sys.modules["matplotlib"] = None  # as if it were not installed
from rnn_lightning.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_output_that_cannot_be_is_told_before_anything_is_trained(command: Command) -> None:
    Path("file").touch()
    result = command("compare", "--rows=rnn.yaml", f"--columns={ADDING}", "--output=file")
    one_mistake(result, "--output file cannot be made: File exists")
    result = command("compare", "--rows=rnn.yaml", f"--columns={ADDING}", "--output=file/below")
    one_mistake(result, "--output file/below cannot be made: Not a directory")


def test_without_matplotlib_it_says_so_before_it_trains(python: Command) -> None:
    result = python(WITHOUT, "compare", "--rows=rnn.yaml", f"--columns={ADDING}")
    one_mistake(result, "compare draws its table with matplotlib: pip install 'rnn-lightning[plot]'")
    assert not list(Path().iterdir())
