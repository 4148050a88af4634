"""Texts of one's own: read as they stand in their files, divided as asked, and every damage told in a line."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rnn_lightning import TextEncoder, TextFiles
from rnn_lightning.batch import Batch
from rnn_lightning.data.encoded import tokenized
from rnn_lightning.data.splits import divide
from rnn_lightning.text import Unit, lexicon

PARTS = ("train", "val", "test")
ROWS = [(f"text {word} {i}", word) for i in range(10) for word in ("red", "blue")]


def _csv(path: Path, rows: Any = ROWS, header: str = "text,label", end: str = "\n") -> Path:
    path.write_bytes("".join(f"{line}{end}" for line in (header, *(",".join(row) for row in rows))).encode())
    return path


def _ready(path: Path, **options: Any) -> TextFiles:
    data = TextFiles(str(path), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def _whole(data: TextFiles, part: str) -> Batch:
    sequences = getattr(data, part)
    return sequences.__getitems__(list(range(len(sequences))))


def _read(data: TextFiles, *parts: str) -> list[tuple[str, Any]]:
    """The known words of each text and its label, of these parts or of all."""
    assert data.facts.encoder is not None
    words, labels = ("<pad>", "<unk>", *data.facts.encoder.words), data.facts.labels
    found = []
    for part in parts or PARTS:
        inputs, lengths, targets, _ = _whole(data, part)
        assert targets is not None
        for ids, length, target in zip(inputs.tolist(), lengths.tolist(), targets.tolist(), strict=True):
            found.append((" ".join(words[i] for i in ids[:length]), labels[target] if labels else target))
    return found


def _with_model(data: TextFiles, **attributes: Any) -> TextFiles:
    model = SimpleNamespace(**{"encoder": None, "labels": (), "scaling": None, **attributes})
    data.trainer = SimpleNamespace(lightning_module=model)  # type: ignore[assignment]  # all that is asked for
    data.setup("test")
    return data


def _refused(path: Path, *parts: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        _ready(path, **options)
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def _tsv(path: Path) -> None:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS))


def _jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS))


def _gz(path: Path) -> None:
    _csv(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def _parquet(path: Path) -> None:
    parquet.write_table(pa.table({"text": [row[0] for row in ROWS], "label": [row[1] for row in ROWS]}), path)


def _folder(path: Path) -> None:
    for i, (text, label) in enumerate(ROWS):
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{i}.txt").write_text(text)
    (path / ".hidden").mkdir()
    (path / "red" / "notes.md").write_text("no text of a class")


KINDS = {
    "a.csv": _csv,
    "a.tsv": _tsv,
    "a.jsonl": _jsonl,
    "a.json": _jsonl,
    "a.csv.gz": _gz,
    "A.CSV": _csv,
    "a.parquet": _parquet,
    "folder": _folder,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_texts(name: str, tmp_path: Path) -> None:
    KINDS[name](tmp_path / name)
    data = _ready(tmp_path / name)
    assert sorted(_read(data)) == sorted(ROWS)
    assert data.facts.labels == ("blue", "red")
    assert [len(getattr(data, part)) for part in PARTS] == [16, 2, 2]
    assert data.name == name.partition(".")[0]
    assert data.summary() == (
        "16 train / 2 validation / 2 test texts, 2 classes, vocabulary 13 words (100.0 % of the training tokens)"
    )


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("text,label\n{},a\n", "我 喜 欢 学 习"),
        ("text,label\r\n{},a\r\n", "fun 😀 fun"),
        ("\ufefftext,label\n{},a\n", "مرحبا بالعالم"),
        ("text;label\n{};a\n", "שלום עולם"),
        ("label , text\na,{}\n", "plain"),
        ('text,label\n"{}",a\n', 'one , " two'),
        ('text,label\n\n"{}",a\n\n\n', "one line\nand another"),
        ('text,label\r\n"{}",a\r\n', "one line\r\nand another"),
        ("text,label,,\n{},a,,\n", "unnamed columns beside"),
    ],
)
def test_a_text_is_read_as_it_stands(content: str, first: str, tmp_path: Path) -> None:
    row = content.format(first.replace('"', '""'))
    others = {";": "rest;b", "label ,": "b,rest", ",,": "rest,b,,"}
    rest = next((line for mark, line in others.items() if mark in row), "rest,b")
    (tmp_path / "a.csv").write_bytes((row + f"{rest}\n" * 3).encode())
    data = _ready(tmp_path / "a.csv")
    assert sorted(_read(data)) == sorted([(" ".join(first.split()), "a"), *[("rest", "b")] * 3])


def test_a_field_of_ten_megabytes_is_read(tmp_path: Path) -> None:
    long = f"{'x' * 9_999} " * 1_000
    _csv(tmp_path / "a.csv", [(long, "a"), ("short", "a"), ("short", "b"), ("y" * 3_000_000, "b")])
    data = _ready(tmp_path / "a.csv", max_length=None)
    assert sorted(len(text.split()) for text, _ in _read(data)) == [1, 1, 3, 1000]  # cut where it is too long


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.sampled_from(["word", "spaced_word", "character"]))
def test_tokens_are_those_of_a_text_encoder(texts: list[str], unit: Unit) -> None:
    tokens = tokenized(iter(texts), unit)
    encoder = TextEncoder(lexicon(texts, unit), unit=unit)
    assert tokens.words == encoder.words
    ids = [tokens.ids[start:end].tolist() for start, end in zip(tokens.offsets, tokens.offsets[1:], strict=False)]
    assert ids == encoder.encode(texts)


@pytest.mark.parametrize(("unit", "text"), [("word", "电 影 is good !"), ("character", "电影 is Good!")])
def test_a_text_can_be_read_again(unit: Any, text: str, tmp_path: Path) -> None:
    data = _ready(_csv(tmp_path / "a.csv", [("电影 is Good!", label) for label in "abab"]), unit=unit, vocab_size=1)
    assert data.test.text(0) == text


def test_columns_are_joined(tmp_path: Path) -> None:
    rows = [("one two", f"three {label}", label) for _ in range(4) for label in "ab"]
    data = _ready(_csv(tmp_path / "a.csv", rows, "subject,body,label"), text=["subject", "body"], max_length=4)
    assert sorted(_read(data)) == sorted((f"{subject} {body}", label) for subject, body, label in rows)


def test_labels_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    data = _ready(_csv(tmp_path / "a.csv", [("text", str(i % 11)) for i in range(44)]))
    assert data.facts.labels == tuple(map(str, range(11)))


def test_many_numbers_as_classes_are_remarked_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _csv(tmp_path / "a.csv", [("text", str(i)) for i in range(300)] * 3, "text,price")
    with caplog.at_level(logging.WARNING):
        _ready(tmp_path / "a.csv", label="price")
    assert "column 'price' has 300 different numbers" in caplog.text
    assert "--data.regression true" in caplog.text


def test_numbers_are_learnt_as_numbers(tmp_path: Path) -> None:
    rows = [(f"t{i}", str(1000 + 3 * i)) for i in range(50)]
    data = _ready(_csv(tmp_path / "a.csv", rows, "text,price"), label="price", regression=True)
    assert sorted(target for _, target in _read(data)) == [float(price) for _, price in rows]
    train = [target for _, target in _read(data, "train")]
    scaling = data.facts.target_scaling
    assert scaling is not None
    assert (scaling.names, data.facts.labels) == (("price",), ())
    np.testing.assert_allclose((scaling.mean[0], scaling.deviation[0]), (np.mean(train), np.std(train)))


def test_the_vocabulary_comes_from_the_training_part_alone(tmp_path: Path) -> None:
    train = _csv(tmp_path / "a.csv", [("seen often", "a"), ("seen", "b")] * 3)
    other = _csv(tmp_path / "b.csv", [("unheard often", "b")])
    data = _ready(train, test_path=str(other), vocab_size=1)
    assert data.facts.encoder is not None
    assert data.facts.encoder.words == ["seen"]
    assert _read(data, "test") == [("<unk> <unk>", "b")]


def test_files_of_the_parts_are_taken_as_they_are(tmp_path: Path) -> None:
    paths = [_csv(tmp_path / f"{part}.csv", [(f"{part} x", "a"), (f"{part} y", "b")]) for part in PARTS]
    data = _ready(paths[0], val_path=str(paths[1]), test_path=str(paths[2]))
    for part in PARTS:
        assert [label for _, label in _read(data, part)] == ["a", "b"]
    assert _read(data, "train") == [("train x", "a"), ("train y", "b")]


@pytest.mark.parametrize("val", ["val", "valid", "dev", None])
def test_folders_of_the_parts_are_found(tmp_path: Path, val: str | None) -> None:
    for part in ("train", "test", *([] if val is None else [val])):
        for label in ("a", "b"):
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(4):
                (tmp_path / part / label / f"{i}.txt").write_text(f"in {part}")
    data = _ready(tmp_path)
    assert [len(getattr(data, part)) for part in PARTS] == ([7, 1, 8] if val is None else [8, 8, 8])
    assert {text for text, _ in _read(data, "train")} == {"in train"}
    assert {text for text, _ in _read(data, "test")} == {"in <unk>"}


def test_a_group_is_in_one_part(tmp_path: Path) -> None:
    rows = [(f"film{i % 17}", "ab"[i % 2], f"film{i % 17}") for i in range(200)]
    data = _ready(_csv(tmp_path / "a.csv", rows, "text,label,film"), group="film", val_fraction=0.2, test_fraction=0.3)
    films = [{text for text, _ in _read(data, part)} - {"<unk>"} for part in PARTS]
    assert sum(map(len, films[:1])) + len(films[1]) + len(films[2]) == len(set.union(*films))
    sizes = [len(getattr(data, part)) for part in PARTS]
    assert sum(sizes) == 200
    assert sizes[1] >= 40
    assert sizes[2] >= 60


@given(st.lists(st.integers(0, 5), min_size=3, max_size=60), st.integers(0, 3), st.booleans())
def test_each_row_is_in_one_part(classes: list[int], seed: int, grouped: bool) -> None:
    groups = np.arange(len(classes)) if grouped else None
    parts = divide(len(classes), {"val": 0.2, "test": 0.1}, seed, "", np.array(classes), groups)
    assert list(parts) == ["train", "val", "test"]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(classes)))
    assert all(len(part) for part in parts.values())


@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), st.integers(0, 3))
def test_parts_have_the_same_share_of_each_class(sizes: list[int], seed: int) -> None:
    classes = np.repeat(np.arange(len(sizes)), np.multiply(sizes, 10))
    parts = divide(len(classes), {"val": 0.2, "test": 0.1}, seed, "", classes)
    for part, share in (("val", 0.2), ("test", 0.1)):
        counts = np.bincount(classes[parts[part]], minlength=len(sizes))
        assert np.abs(counts - share * np.multiply(sizes, 10)).max() <= 1


def test_a_class_of_one_text_is_in_the_training_part(tmp_path: Path) -> None:
    for seed in range(5):
        data = _ready(_csv(tmp_path / "a.csv", [*ROWS, ("alone", "one")]), split_seed=seed)
        assert ("alone", "one") in _read(data, "train")


def test_a_model_gets_its_own_words_and_classes(tmp_path: Path) -> None:
    encoder = TextEncoder(["blue", "text"], max_length=2, truncate="tail")
    data = TextFiles(str(_csv(tmp_path / "a.csv")))
    _with_model(data, encoder=encoder, labels=("red", "green", "blue"))
    assert data.facts.encoder is encoder
    assert data.facts.labels == ("red", "green", "blue")
    assert set(_read(data)) == {("blue <unk>", "blue"), ("<unk> <unk>", "red")}
    with pytest.raises(
        ValueError, match=r"a\.csv, line 2: the label 'red' is none of the model's, which are ret, blue"
    ):
        _with_model(data, encoder=encoder, labels=("ret", "blue"))


def test_empty_texts_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        data = _ready(_csv(tmp_path / "a.csv", [*ROWS, ("", "red"), ("  ", "red")]))
    assert [record.message for record in caplog.records] == [
        f"2 of the texts have nothing in them, first of all {tmp_path / 'a.csv'}, line 22"
    ]
    assert ("", "red") in _read(data)


def _mistakes() -> dict[str, tuple[bytes, dict[str, Any], tuple[str, ...]]]:
    good = b"text,label\nx,a\ny,b\n"
    return {
        "0 rows": (b"text,label\n", {}, ("a.csv has no rows",)),
        "0 bytes": (b"", {}, ("a.csv is empty",)),
        "1 row": (b"text,label\nx,a\n", {}, ("of the 1 texts of", "leave nothing for training")),
        "one class": (
            b"text,label\n" + b"x,a\n" * 9,
            {},
            ("the training part has one class alone, 'a': there is nothing",),
        ),
        "no column": (good, {"label": "lable"}, ("a.csv has no column 'lable'", "did you mean 'label'?")),
        "no text column": (good, {"text": "body"}, ("a.csv has no column 'body'; it has text, label",)),
        "two columns": (b"text,label,label\nx,a,b\n", {}, ("a.csv has two columns called 'label'",)),
        "no label": (good + b"z,\n", {}, ("a.csv, line 4: there is no label in the column 'label'",)),
        "too few": (good + b"z\n", {}, ("a.csv, line 4: there is 1 field where the header has 2",)),
        "too many": (good + b"1,000,a\n", {}, ("a.csv, line 4: there are 3 fields where the header has 2",)),
        "after quotes": (b'text,label\n"a\nb",a\nz\n', {}, ("a.csv, line 4: there is 1 field",)),
        "open quotes": (good + b'"z,a\nx,b\n', {}, ("a.csv, line 4: a quotation mark is never closed",)),
        "quotes within": (good + b'"z" z,a\n', {}, ("a.csv, line 4: ',' expected after '\"'",)),
        "zero byte": (good + b"z\0,a\n", {}, ("a.csv, line 4: there is a zero byte",)),
        "Latin-1": (good + "schön,a\n".encode("latin-1"), {}, ("a.csv, line 4: this is not UTF-8 text",)),
        "UTF-16": ("text,label\nx,a\n".encode("utf-16"), {}, ("a.csv, line 1: this is not UTF-8 text",)),
        "no number": (good, {"regression": True}, ("a.csv, line 2: 'a' in the column 'label' is not a finite number",)),
        "comma": (b'text,label\nx,"1,5"\n', {"regression": True}, ("'1,5'", "decimals are wanted with a point")),
        "inf": (b"text,label\nx,inf\n", {"regression": True}, ("line 2: 'inf'",)),
        "no group": (b"text,label,film\nx,a,\n", {"group": "film"}, ("line 2: the column 'film' is empty",)),
        "one group": (
            b"text,label,film\n" + b"x,a,f\ny,b,f\n" * 5,
            {"group": "film"},
            ("of the 10 texts of", "in 1 groups, leave nothing for training"),
        ),
        "too large": (b"text,label\n" + b"x,1e200\ny,-1e200\n" * 9, {"regression": True}, ("are too large",)),
    }


@pytest.mark.parametrize("name", _mistakes())
def test_a_mistake_in_a_table_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    content, options, parts = _mistakes()[name]
    (tmp_path / "a.csv").write_bytes(content)
    _refused(tmp_path / "a.csv", *parts, **options)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "x", "label": ', "line 2: this is not JSON ("),
        ('["x", "a"]', "line 2: this is not an object"),
        ("x,a", "line 2: this is not JSON ("),
        ('{"text": "x"}', "line 2: there is no label in the column 'label'"),
        ('{"text": "x", "label": null}', "line 2: there is no label"),
        ('{"text": ["x"], "label": "a"}', "line 2: there is neither text nor a number in 'text'"),
        ('{"text": "\\ud800", "label": "a"}', "line 2: there is half of a character in 'text' (\\ud800)"),
        ("[" * 100_000, "line 2: this is not JSON ("),
    ],
)
def test_a_mistake_in_json_lines_is_told_with_its_place(line: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "y", "label": "b"}\n' + line + "\n")
    _refused(tmp_path / "a.jsonl", said)


def test_values_of_json_are_taken_as_they_are_written(tmp_path: Path) -> None:
    lines = ['{"text": 12.50, "label": 1}', '{"text": null, "label": true}'] * 4
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    data = _ready(tmp_path / "a.jsonl")
    assert data.facts.labels == ("1", "true")
    assert set(_read(data)) == {("12 . 50", "1"), ("", "true")}


def test_a_label_of_the_test_file_alone_is_refused(tmp_path: Path) -> None:
    test = _csv(tmp_path / "test.csv", [("x", "red"), ("y", "bleu")])
    _refused(
        _csv(tmp_path / "a.csv"),
        f"{test}, line 3: the label 'bleu' is not one of the training part's, which are blue, red",
        "; did you mean 'blue'?",
        test_path=str(test),
    )


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, f"{tmp_path} holds no folders: one for each class is wanted, with .txt files in it")
    (tmp_path / "a").mkdir()
    _refused(tmp_path, f"{tmp_path / 'a'} holds no .txt files")
    _folder(tmp_path / "b")
    _refused(tmp_path / "b", "is a folder", "'film'", group="film")
    (tmp_path / "b" / "red" / "1.txt").write_bytes(b"one\n\xff")
    _refused(tmp_path / "b", f"{tmp_path / 'b' / 'red' / '1.txt'}, line 2: this is not UTF-8 text")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path / "missing.csv", f"{tmp_path / 'missing.csv'} does not exist")
    _refused(_csv(tmp_path / "a.xlsx"), "a.xlsx: a folder is wanted, or a file that ends in .csv, .tsv,")
    _refused(_csv(tmp_path / "a.csv.gz"), "a.csv.gz is not compressed by gzip, or damaged")
    _refused(_csv(tmp_path / "a.parquet"), "a.parquet is not a Parquet file, or damaged")
    _gz(tmp_path / "b.csv.gz")
    (tmp_path / "b.csv.gz").write_bytes((tmp_path / "b.csv.gz").read_bytes()[:-9])
    _refused(tmp_path / "b.csv.gz", "b.csv.gz is not compressed by gzip, or damaged or cut off")
    (tmp_path / "empty.csv").mkdir()
    _refused(tmp_path / "empty.csv", "holds no folders")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"val_fraction": 0}, "val_fraction is 0"),
        ({"test_fraction": 1.0}, "test_fraction is 1.0"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "val_fraction 0.5 and test_fraction 0.5 of the 20 texts of"),
        ({"split_seed": -1}, "split_seed is -1"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"truncate": "middle"}, "truncate is 'middle', not one of head, tail, head_tail"),
        ({"unit": "letter"}, "unit is 'letter', not one of word, spaced_word, character"),
        ({"text": []}, "text is empty"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    _refused(_csv(tmp_path / "a.csv"), said, **options)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tickets.csv", "tickets"),
        ("~/a/my tickets-2.v1.csv.gz", "my_tickets_2"),
        ("数据.jsonl", "数据"),
        ("/", "own"),
        (".csv", "csv"),
        ("folder/", "folder"),
    ],
)
def test_a_data_set_is_called_as_its_file(path: str, name: str) -> None:
    assert TextFiles(path).name == TextFiles.name_with({"path": path}) == name
