"""`predict`: raw texts in, labels out; or the test part in order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from rnn_lightning import SyntheticSequences, load
from rnn_lightning.cli import predict as predict_module
from tests.cli.helpers import one_mistake
from tests.conftest import SMALL, Command

TEXTS = ("Two hours I will never get back.", "A small miracle of a film.", "Der Film ist schön. 電影很好看 😀")


def _line(text: str, label: str, probability: float) -> str:
    return f"{label}  {probability:.4f}  {text}"


def _wanted(run: Path, *texts: str) -> list[str]:
    predictions = load(run).predict_text(texts)
    return [_line(text, *prediction) for text, prediction in zip(texts, predictions, strict=True)]


def test_texts_are_predicted_in_their_order(command: Command, review_run: Path) -> None:
    words = [word for text in TEXTS for word in ("--text", text)]
    result = command("predict", *words)
    assert result.code == 0, result.err
    assert result.out.splitlines() == _wanted(review_run, *TEXTS)
    assert re.fullmatch(
        rf"Predicting with the best checkpoint of the newest run, {review_run} \(epoch \d\)\n", result.err
    )


def test_texts_and_predictions_are_all_that_standard_output_holds(command: Command, review_run: Path) -> None:
    for line in command("predict", "--text=a", "--text=b").out.splitlines():
        assert re.fullmatch(r"(negative|positive)  0\.\d{4}  [ab]", line)


@pytest.mark.parametrize("text", ["", "-5 stars", "a=b", "--all bad", "x" * 100, "<br />"])
def test_any_text_can_be_given(command: Command, review_run: Path, text: str) -> None:
    result = command("predict", f"--text={text}")
    assert result.code == 0, result.err
    assert result.out.splitlines() == _wanted(review_run, text)


def test_a_long_text_is_shown_in_part(command: Command, review_run: Path) -> None:
    text = "good " * 100
    (line,) = command("predict", "--text", text).out.splitlines()
    assert line.endswith("…")
    assert line.partition("  0.")[2][6:] == f"{text[:99]}…"


@pytest.mark.parametrize("flag", ["--file=reviews.txt", "--file"])
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(TEXTS),
        "\n".join(TEXTS) + "\n",
        "\ufeff" + "\n".join(TEXTS) + "\n",
        "\r\n".join(TEXTS) + "\r\n",
    ],
    ids=["plain", "with a last line break", "byte order mark", "Windows"],
)
def test_a_file_has_a_text_in_each_line(command: Command, review_run: Path, content: str, flag: str) -> None:
    Path("reviews.txt").write_bytes(content.encode())
    words = [flag] if "=" in flag else [flag, "reviews.txt"]
    result = command("predict", *words)
    assert result.code == 0, result.err
    assert result.out.splitlines() == _wanted(review_run, *TEXTS)


def test_an_empty_line_has_a_prediction_too(command: Command, review_run: Path) -> None:
    Path("reviews.txt").write_text("good\n\n\nbad\n")
    command("predict", "--file=reviews.txt", "--output=out.jsonl")
    lines = Path("out.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["good", "", "", "bad"]


def test_an_empty_file_has_no_predictions(command: Command, review_run: Path) -> None:
    Path("reviews.txt").write_bytes(b"")
    result = command("predict", "--file=reviews.txt")
    assert (result.code, result.out) == (0, "")


def test_texts_come_before_files_and_files_in_their_order(command: Command, review_run: Path) -> None:
    Path("a.txt").write_text("first\n")
    Path("b.txt").write_text("second\n")
    result = command("predict", "--file=b.txt", "--text=zero", "--file=a.txt")
    assert result.out.splitlines() == _wanted(review_run, "zero", "second", "first")


@pytest.mark.parametrize(
    "texts", [predict_module._AT_ONCE - 1, predict_module._AT_ONCE, 2 * predict_module._AT_ONCE + 3]
)
def test_many_lines_keep_their_order(command: Command, review_run: Path, texts: int) -> None:
    words = ("good", "awful film", "the wonderful second time", "")
    lines = [f"{words[number % 4]} {number}" for number in range(texts)]
    Path("reviews.txt").write_text("\n".join(lines) + "\n")
    command("predict", "--file=reviews.txt", "--output=out.jsonl")
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == lines
    for row, prediction in zip(rows[::97], load(review_run).predict_text(lines[::97]), strict=True):
        assert (row["label"], row["probability"]) == (prediction.label, pytest.approx(prediction.probability, rel=1e-4))


def test_the_output_file_holds_json_lines(command: Command, review_run: Path) -> None:
    words = [f"--text={text}" for text in TEXTS]
    result = command("predict", *words, "--output", "predictions.jsonl")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[-1] == "3 predictions in predictions.jsonl"
    content = Path("predictions.jsonl").read_text("utf-8")
    assert content.endswith("}\n")
    assert TEXTS[2] in content  # as it is, without escapes
    wanted = load(review_run).predict_text(TEXTS)
    rows = [{"text": text, **p._asdict()} for text, p in zip(TEXTS, wanted, strict=True)]
    assert [json.loads(line) for line in content.splitlines()] == rows
    assert sorted(path.name for path in Path().iterdir()) == ["predictions.jsonl", "runs"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"good\n" * 3000 + b"caf\xe9\n", "reviews.txt is not UTF-8 text"),
        ("gut".encode("utf-16"), "reviews.txt is not UTF-8 text"),
        (None, "reviews.txt cannot be read: No such file or directory"),
    ],
    ids=["Latin-1 far down", "UTF-16", "missing"],
)
@pytest.mark.parametrize("before", [None, "earlier\n"])
def test_an_error_midway_leaves_the_output_as_it_was(
    command: Command, review_run: Path, content: bytes | None, said: str, before: str | None
) -> None:
    if content is not None:
        Path("reviews.txt").write_bytes(content)
    if before is not None:
        Path("out.jsonl").write_text(before)
    one_mistake(command("predict", "--text=fine", "--file=reviews.txt", "--output=out.jsonl"), said)
    assert {path.name for path in Path().iterdir()} <= {"runs", "reviews.txt", "out.jsonl"}
    assert (Path("out.jsonl").read_text() if Path("out.jsonl").exists() else None) == before


@pytest.mark.parametrize("output", ["nowhere/out.jsonl", "folder"])
def test_an_output_that_cannot_be_written_is_told(command: Command, review_run: Path, output: str) -> None:
    Path("folder").mkdir()
    one_mistake(command("predict", "--text=fine", f"--output={output}"), f"{output} cannot be written: ")
    assert sorted(path.name for path in Path().iterdir()) == ["folder", "runs"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--data.batch_size=3"],
        ["--data", "IMDb"],
        ["--trainer.devices=2"],
        ["--seed_everything", "3"],
    ],
    ids=" ".join,
)
def test_options_that_would_do_nothing_for_texts_are_refused(
    command: Command, review_run: Path, flags: list[str]
) -> None:
    one_mistake(command("predict", "--text=fine", *flags), f"{flags[0].partition('=')[0]} does not apply to texts")


@pytest.mark.parametrize("flag", ["--text", "--file", "--output"])
def test_an_option_without_its_value_is_told(command: Command, review_run: Path, flag: str) -> None:
    one_mistake(command("predict", flag), f"{flag} wants a value")


def test_a_model_of_texts_wants_texts(command: Command, review_run: Path) -> None:
    said = 'this model reads text: give --text "...", --file FILE, or - for standard input'
    one_mistake(command("predict"), said)
    one_mistake(command("predict", "--output=x.jsonl"), said)
    assert not Path("x.jsonl").exists()


@pytest.mark.parametrize("words", [["--text", "good"], ["--file", "reviews.txt"]])
def test_a_model_of_features_takes_no_texts(command: Command, feature_run: Path, words: list[str]) -> None:
    Path("reviews.txt").write_text("good\n")
    one_mistake(command("predict", *words), "this model was trained on sequences of numbers: it reads no text")


def test_a_model_of_features_predicts_the_test_part_in_order(command: Command, feature_run: Path) -> None:
    data = SyntheticSequences(num_train=300, num_val=100, num_test=90)
    data.setup("predict")
    batch = data.test.__getitems__(list(range(90)))
    with torch.no_grad():
        probabilities = torch.sigmoid(load(feature_run)(batch.inputs, batch.lengths))
    labels = [str(int(p > 0.5)) for p in probabilities]
    wanted = [max(p, 1 - p) for p in probabilities.tolist()]
    result = command("predict", "--output=out.jsonl", "--data.batch_size=17")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(90))
    assert [row["label"] for row in rows] == labels
    assert [row["probability"] for row in rows] == pytest.approx(wanted, rel=1e-5)
    shown = command("predict").out.splitlines()
    assert shown == [f"{row['label']}  {row['probability']:.4f}  {row['index']}" for row in rows]


def test_sequences_of_different_lengths_stay_in_order(command: Command) -> None:
    assert command("fit", *SMALL, "--data.num_classes=0", "--data.min_steps=1", "--data.num_steps=9").code == 0
    (run,) = Path("runs").glob("*/*")
    data = SyntheticSequences(num_train=300, num_val=100, num_test=90, num_classes=0, min_steps=1, num_steps=9)
    data.setup("predict")
    batch = data.test.__getitems__(list(range(90)))
    with torch.no_grad():
        wanted = load(run)(batch.inputs, batch.lengths).tolist()
    command("predict", "--output=out.jsonl")
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["value"] for row in rows] == pytest.approx(wanted, abs=1e-5)
    assert command("predict").out.splitlines()[3] == f"{rows[3]['value']:.4f}  3"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--nonsense=1", "predict has no option --nonsense"),
        ("--txet=dull", "did you mean '--text'?"),
    ],
)
def test_an_unknown_option_beside_texts_is_told(command: Command, review_run: Path, flag: str, message: str) -> None:
    one_mistake(command("predict", "--text=fine", flag), message)
