"""A text, cut into windows: each token once, each part by itself, the words as the text divides them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning import LanguageModel, NextWord, TextEncoder
from rnn_lightning.batch import PAD, UNKNOWN, Batch
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.next_word import _Windows
from tests.tasks.helpers import silent_trainer

PARTS = ("train", "val", "test")


def _ready(path: Path | None = None, text: str | bytes | None = None, **options: Any) -> NextWord:
    if path is not None and text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    data = NextWord(None if path is None else str(path), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def _whole(sequences: Sequences) -> Batch:
    return sequences.__getitems__(list(range(len(sequences))))


def _words(data: NextWord, ids: list[int]) -> list[str]:
    assert data.facts.encoder is not None
    return [("<pad>", "<unk>", *data.facts.encoder.words)[i] for i in ids]


def _read(data: NextWord, part: str = "train") -> list[str]:
    """The tokens of a part: its first, and then each target, in order."""
    batch = _whole(getattr(data, part))
    assert batch.targets is not None
    ids = [int(batch.inputs[0, 0])]
    for row, length in zip(batch.targets, batch.lengths.tolist(), strict=True):
        ids += row[:length].tolist()
    return _words(data, ids)


def test_the_default_is_a_sentence_of_five_words() -> None:
    data = _ready()
    for part in PARTS:
        batch = _whole(getattr(data, part))
        assert batch.targets is not None
        assert batch.lengths.tolist() == [4]
        assert _words(data, batch.inputs[0].tolist()) == ["我", "喜欢", "学习", "深度"]
        assert _words(data, batch.targets[0].tolist()) == ["喜欢", "学习", "深度", "学习"]
    facts = data.facts
    assert facts.encoder is not None
    assert (facts.input_size, facts.labels, facts.per_step, facts.encoder.vocab_size) == (None, (), True, 6)
    assert data.summary() == (
        "5 words, vocabulary 4 words; training, validation and test are the same, all of the text"
    )


@given(st.integers(2, 200), st.integers(1, 70))
def test_windows_hold_each_token_once_as_a_target_except_the_first(count: int, num_steps: int) -> None:
    ids = torch.arange(2, count + 2).numpy()
    windows = _Windows(ids, num_steps)
    batch = _whole(windows)
    assert batch.targets is not None
    assert batch.inputs.dtype == batch.lengths.dtype == batch.targets.dtype == torch.int64
    assert batch.lengths.max() <= num_steps
    assert batch.lengths.min() >= 1
    assert batch.targets[batch.targets != PAD].tolist() == ids[1:].tolist()
    assert batch.inputs[batch.inputs != PAD].tolist() == ids[:-1].tolist()
    assert ((batch.inputs != PAD).sum(1) == batch.lengths).all()
    assert torch.equal(batch.targets, torch.where(batch.inputs == PAD, PAD, batch.inputs + 1))


@pytest.mark.parametrize("count", [100, 101, 237])
@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.05, 0.3), (0.5, 0.4)])
def test_parts_follow_each_other_without_overlap(count: int, val: float, test: float, tmp_path: Path) -> None:
    words = [f"w{i % 7}" for i in range(count)]
    data = _ready(tmp_path / "text", " ".join(words), val_fraction=val, test_fraction=test, num_steps=6)
    read = [_read(data, part) for part in PARTS]
    assert [word for part in read for word in part] == words
    assert [len(part) for part in read[1:]] == [round(count * val), round(count * test)]
    assert data.summary() == (
        f"{len(read[0])} train / {len(read[1])} validation / {len(read[2])} test words, vocabulary 7 words"
    )


def test_a_text_of_99_tokens_is_not_divided(tmp_path: Path) -> None:
    data = _ready(tmp_path / "text", "a b c " * 33)
    assert data.parts == dict.fromkeys(PARTS, (0, 99))


def test_the_vocabulary_comes_from_the_training_part_alone(tmp_path: Path) -> None:
    text = "a b b " * 30 + "later " * 10
    data = _ready(tmp_path / "text", text)
    assert data.facts.encoder is not None
    assert data.facts.encoder.words == ["b", "a"]
    assert set(_read(data, "test")) == {"<unk>"}
    assert PAD not in _whole(data.test).inputs


@pytest.mark.parametrize("size", [1, 2, 3, 99])
def test_only_the_most_frequent_words_are_known(size: int, tmp_path: Path) -> None:
    data = _ready(tmp_path / "text", "c a b b c c", vocab_size=size)
    assert data.facts.encoder is not None
    assert data.facts.encoder.words == ["c", "b", "a"][:size]
    assert (_read(data) == ["c", "a", "b", "b", "c", "c"]) == (size >= 3)
    assert (UNKNOWN in _whole(data.train).inputs) == (size < 3)


@pytest.mark.parametrize(
    ("text", "unit", "tokens"),
    [
        ("The cat, THE hat!", "word", ["the", "cat", ",", "the", "hat", "!"]),
        ("The Cat\nsat.", "character", list("The Cat\nsat.")),
        ("one\r\n\r\ntwo", "character", list("one\n\ntwo")),
        ("one\r\ntwo\rthree", "word", ["one", "two", "three"]),
        ("我喜欢学习深度学习", "word", list("我喜欢学习深度学习")),
        ("我 喜欢 学习", "word", ["我", "喜欢", "学习"]),
        ("我喜欢 学习", "character", list("我喜欢 学习")),
        ("吾輩は猫である。名前はまだ無い。", "word", list("吾輩は猫である。名前はまだ無い。")),
        ("I love 北京 and 上海.", "word", ["i", "love", "北京", "and", "上海", "."]),
        ("DVD版电影非常好看 ok", "word", ["dvd", *"版电影非常好看", "ok"]),
        ("\ufeffbeginning end", "word", ["beginning", "end"]),
        ("\ufeffab", "character", ["a", "b"]),
        ("fun 😀👍 fun", "word", ["fun", "😀", "👍", "fun"]),
        ("😀 👍\n", "character", ["😀", " ", "👍", "\n"]),
        ("a\u2028b\x0cc\x85d", "character", list("a\u2028b\x0cc\x85d")),
        ("cafe\u0301 é", "character", list("café é")),
        ("<pad> <unk>", "word", ["<", "pad", ">", "<", "unk", ">"]),
    ],
)
def test_a_text_is_read_in_its_units(text: str, unit: Any, tokens: list[str], tmp_path: Path) -> None:
    assert _read(_ready(tmp_path / "text", text, unit=unit)) == tokens


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"text cannot be read: No such file or directory$"),
        (b"", r"text is empty: there is no text to learn from$"),
        (b" \n\t\r\n", r"text is empty: there is no text to learn from$"),
        (b"\xef\xbb\xbf", r"text is empty: there is no text to learn from$"),
        (b"word", r"text has 1 words: there is no next one to predict$"),
        (b"caf\xe9 au lait", r"text is not UTF-8 text \(byte 3\)$"),
    ],
    ids=["missing", "empty", "blank", "only a mark", "one word", "Latin-1"],
)
def test_a_text_that_cannot_be_learnt_is_told(content: bytes | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        _ready(tmp_path / "text", content)


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        _ready(tmp_path)


def test_one_character_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 1 characters"):
        _ready(tmp_path / "text", "x", unit="character")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vocab_size": 0}, "vocab_size is 0; it must be at least 1"),
        ({"num_steps": 0}, "num_steps is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"num_workers": -1}, "num_workers is -1; it must be at least 0"),
        ({"unit": "letter"}, "unit is 'letter', not one of word, character"),
        ({"val_fraction": 0.0}, "val_fraction is 0.0; it must lie between 0 and 1"),
        ({"test_fraction": 1.0}, "test_fraction is 1.0; it must lie between 0 and 1"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing for training"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NextWord(**options)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"val_fraction": 0.001}, "0 for the val part"),
        ({"test_fraction": 0.01}, "1 for the test part"),
        ({"val_fraction": 0.5, "test_fraction": 0.49}, "1 for the train part"),
    ],
    ids=str,
)
def test_a_part_without_a_next_word_is_told(options: dict[str, Any], part: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"of 100 words leave {part}; it needs 2 or more"):
        _ready(tmp_path / "text", "a b " * 50, **options)


def test_a_model_is_scored_with_its_own_vocabulary(tmp_path: Path) -> None:
    text = " ".join(f"w{i * i % 23}" for i in range(300))
    first = _ready(tmp_path / "text", text, vocab_size=9, num_steps=10)
    trainer = silent_trainer(max_epochs=1, num_sanity_val_steps=0)
    model = LanguageModel(cell="rnn", hidden_size=4, embedding_size=3)
    trainer.fit(model, datamodule=first)
    scores = []
    for size in (9, 2, 10_000):
        data = NextWord(str(tmp_path / "text"), vocab_size=size, num_steps=10)
        scores += silent_trainer().test(model, datamodule=data, verbose=False)
    assert scores[0] == scores[1] == scores[2]
    assert 0 < scores[0]["test_unknown"] < 1


def test_the_unit_of_the_model_decides_how_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("ab ba", "utf-8")
    data = NextWord(str(tmp_path / "text"))
    encoder = TextEncoder(["a", "b"], unit="character")
    data.trainer = SimpleNamespace(lightning_module=SimpleNamespace(encoder=encoder))  # type: ignore[assignment]
    data.setup("test")
    assert _read(data, "test") == ["a", "b", "<unk>", "b", "a"]
    assert data.summary().startswith("5 characters, vocabulary 2 characters; ")
