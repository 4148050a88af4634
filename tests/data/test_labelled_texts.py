"""Texts with a label each, and further ones without: their words, and all of them as one text to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from rnn_lightning.batch import PAD, UNKNOWN
from rnn_lightning.data.encoded import Tokens, joined, tokenized, without_copies
from rnn_lightning.data.imdb import IMDb
from rnn_lightning.data.labelled_texts import LabelledTexts
from rnn_lightning.data.text_files import TextFiles
from rnn_lightning.data.windows import Windows
from tests.archives import members, pack, unpack
from tests.conftest import Command

Data = TypeVar("Data", bound=LabelledTexts)
FURTHER = ("A remarkable film.", "wonderful!", "Remarkable, remarkable actors")
"""The second one has the words of a test review."""


def _reviews() -> dict[str, bytes]:
    labelled = {name: content for name, content in members().items() if "unsup" not in name}
    return labelled | {f"aclImdb/train/unsup/{n}_0.txt": text.encode() for n, text in enumerate(FURTHER)}


@pytest.fixture
def reviews(tmp_path: Path, workplace: Path) -> Path:
    """An archive with reviews that have no label."""
    return pack(tmp_path / "reviews.tar.gz", _reviews())


def _ready(data: Data) -> Data:
    data.prepare_data()
    data.setup("fit")
    return data


def _words(data: LabelledTexts) -> list[str]:
    assert data.facts.encoder is not None
    return data.facts.encoder.words


def _read(data: LabelledTexts, part: Any) -> list[str]:
    """What a language model reads, word by word."""
    assert isinstance(part, Windows)
    batch = part.__getitems__(list(range(len(part))))
    assert batch.targets is not None
    ids = [int(batch.inputs[0, 0]), *(int(target) for row in batch.targets for target in row if target != PAD)]
    return [_words(data)[index - 2] if index != UNKNOWN else "?" for index in ids]


def test_the_words_of_reviews_without_a_label_count_for_the_vocabulary(reviews: Path) -> None:
    without, data = _ready(IMDb(str(reviews))), _ready(IMDb(str(reviews), unlabelled=True))
    assert "remarkable" not in _words(without)
    assert _words(data).index("remarkable") < 20
    assert data.train.rows.tolist() == without.train.rows.tolist()
    for part in ("train", "val", "test"):
        texts = [getattr(one, part).text(0) for one in (without, data)]
        assert texts[0] == texts[1]


def test_a_folder_has_the_same_ones_as_the_archive(reviews: Path, tmp_path: Path) -> None:
    folder = unpack(tmp_path / "unpacked", _reviews())
    from_folder = _ready(IMDb(str(folder), unlabelled=True))
    assert _words(from_folder) == _words(_ready(IMDb(str(reviews), unlabelled=True)))


def test_without_such_reviews_that_is_said(tmp_path: Path, workplace: Path) -> None:
    labelled = {name: content for name, content in members().items() if "unsup" not in name}
    with pytest.raises(ValueError, match=r"has no reviews without a label: such a one is a file like train/unsup/0_0"):
        _ready(IMDb(str(pack(tmp_path / "a.tar.gz", labelled)), unlabelled=True))


def test_a_language_model_reads_every_training_review_once_and_no_copy_of_a_test_review(reviews: Path) -> None:
    data = _ready(IMDb(str(reviews), unlabelled=True, targets="next_token", num_steps=7))
    labels = _ready(IMDb(str(reviews), unlabelled=True))
    own = [labels.train.text(index).split() for index in range(len(labels.train))]
    own += [["a", "remarkable", "film", "."], ["remarkable", ",", "remarkable", "actors"]]
    read = _read(data, data.train)
    assert len(read) == sum(map(len, own))
    # Each text stands in what is read, and none of its words are left over.
    text = f" {' '.join(read)} "
    for words in sorted(own, key=len, reverse=True):
        assert f" {' '.join(words)} " in text
        text = text.replace(f" {' '.join(words)} ", "  ", 1)
    assert not text.strip()
    assert data.facts.streams
    assert data.facts.labels == ()


def test_the_other_direction_is_the_same_from_its_end(reviews: Path) -> None:
    forward, backward = (
        _ready(IMDb(str(reviews), targets=targets, num_steps=5)) for targets in ("next_token", "previous_token")
    )
    for part in ("train", "val", "test"):
        there = _read(forward, getattr(forward, part))
        assert _read(backward, getattr(backward, part)) == there[::-1]


@pytest.mark.parametrize("rows", [["a b", "c", "", "a b"], ["x"]])
def test_two_lexicons_become_one(rows: Sequence[str]) -> None:
    first, second = tokenized(["b a z", "c"], "word"), tokenized(rows, "word")
    both = joined(first, second)
    assert both.words == sorted({*first.words, *second.words})
    assert _texts(both) == _texts(first) + _texts(second)


def _texts(tokens: Tokens) -> list[list[str]]:
    ends = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [[tokens.words[index - 2] for index in tokens.ids[start:end]] for start, end in ends]


def test_copies_are_told_by_all_their_words() -> None:
    tokens = tokenized(["a b", "b a", "a b c", "", "a b", "", "c"], "word")
    assert without_copies(tokens, np.arange(4), np.arange(4, 7)).tolist() == [1, 2]
    assert without_copies(tokens, np.arange(0), np.arange(4, 7)).tolist() == []


def _table(folder: Path, name: str, rows: Sequence[str]) -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def _own(folder: Path, **options: Any) -> TextFiles:
    rows = [f"good word{n},pos\nbad word{n},neg" for n in range(10)]
    return TextFiles(str(_table(folder, "own.csv", ["text,label", *rows])), **options)


def test_own_texts_without_a_label_stand_in_a_table_or_in_a_folder(workplace: Path) -> None:
    table = _table(workplace, "more.csv", ["text", "unseen one", "unseen two"])
    folder = unpack(workplace / "more", {"1.txt": b"unseen one", "2.txt": b"unseen two", "3.md": b"not me"})
    found = [_words(_ready(_own(workplace, unlabelled_path=str(path)))) for path in (table, folder)]
    assert found[0] == found[1]
    assert "unseen" in found[0]
    assert "unseen" not in _words(_ready(_own(workplace)))


def test_own_texts_for_a_language_model(workplace: Path) -> None:
    table = _table(workplace, "more.csv", ["text", "unseen one", "unseen two"])
    data = _ready(_own(workplace, unlabelled_path=str(table), targets="next_token", num_steps=3))
    read = _read(data, data.train)
    assert read.count("unseen") == 2
    assert len(read) == 2 * 16 + 4
    assert data.name == "own_text"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "next"}, "targets is 'next', not one of labels, next_token, previous_token"),
        ({"num_steps": 0}, "num_steps is 0; it must be at least 1"),
        ({"unlabelled_path": "none.csv"}, "none.csv does not exist"),
        ({"unlabelled_path": "empty"}, "empty holds no .txt files"),
    ],
)
def test_wrong_options(workplace: Path, options: dict[str, Any], message: str) -> None:
    (workplace / "empty").mkdir()
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        _ready(_own(workplace, **options))


def test_the_command_trains_a_language_model_on_reviews(command: Command, reviews: Path) -> None:
    words = ("--config=imdb.yaml", f"--data.path={reviews}", "--model=LanguageModel", "--data.targets=next_token")
    small = ("--model.hidden_size=8", "--model.embedding_size=8", "--data.batch_size=4", "--data.num_steps=6")
    result = command("fit", *words, *small, "--data.unlabelled=true", "--trainer.max_epochs=1")
    assert result.code == 0, result.err
    assert "Training lstm on imdb_text" in result.out
    assert command("test").code == 0
    refused = command("fit", "--config=imdb.yaml", f"--data.path={reviews}", "--data.targets=next_token")
    assert refused.code == 2
    assert "this data has a target for each step, not one for a sequence: LanguageModel learns it" in refused.err
