"""A text, cut into windows: each token once, each part by itself, the words as the text divides them."""

from __future__ import annotations

import logging
import pickle
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rnn_lightning import LanguageModel, NextWord, TextEncoder
from rnn_lightning import text as text_module
from rnn_lightning.batch import PAD, UNKNOWN, Batch
from rnn_lightning.data import text_file, windows
from rnn_lightning.data.base import Sequences
from rnn_lightning.data.sampler import ManySampler
from rnn_lightning.data.windows import Windows
from rnn_lightning.text import lexicon
from tests.tasks.helpers import silent_trainer
from tests.test_text import TEXTS

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
    windows = Windows(ids, (0, count), np.arange(count + 2), num_steps)
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


@given(TEXTS, st.sampled_from(["word", "character"]), st.booleans(), st.integers(1, 9), st.integers(1, 9))
@example("我喜欢深度学习" * 20, "word", True, 5, 7)
@example("我 喜欢 学习，。" * 20, "word", False, 9, 7)
@example("one two three two\r\n" * 30, "word", True, 2, 64)
def test_a_text_of_any_length_gives_the_batches_of_one_that_is_split_as_a_whole(
    tmp_path_factory: pytest.TempPathFactory, text: str, unit: Any, mark: bool, vocab_size: int, num_steps: int
) -> None:
    assume(text.removeprefix("\ufeff").strip())
    path = tmp_path_factory.mktemp("texts") / "text"
    path.write_bytes(b"\xef\xbb\xbf" * mark + text.encode())
    data = NextWord(str(path), unit=unit, num_steps=num_steps, vocab_size=vocab_size)
    try:
        parts = _split_as_a_whole(path.read_text("utf-8-sig"), data)
    except ValueError:
        assume(False)
    for short in (0, 1 << 22):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(path.parent))
            patch.setattr(text_file, "_SHORT", short)
            patch.setattr(text_module, "_PIECE", 3)
            patch.setattr(text_module, "_AT_ONCE", 20)
            data.prepare_data()
            data.setup("fit")
        for name in PARTS:
            whole = getattr(data, name).whole()
            assert [whole.values[0], *whole.targets] == parts[name]
            assert whole.values[1:].tolist() == parts[name][1:-1]
            assert (np.diff(whole.offsets)[:-1] == num_steps).all()


def _split_as_a_whole(text: str, data: NextWord) -> dict[str, list[int]]:
    """The ids of each part, by what Python has for it; ValueError where there are too few."""
    runs = re.findall("[々\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+", text)
    spaced = "word" if len("".join(runs)) > 4 * len(runs) else "spaced_word"
    unit: Any = "character" if data.unit == "character" else spaced
    words = lexicon([text], unit)
    tokens = [words[i - 2] for i in TextEncoder(words, unit=unit).encode([text])[0]]
    count = len(tokens)
    test = count - round(0.1 * count) if count >= 100 else count
    val = test - round(0.1 * count) if count >= 100 else count
    parts = (tokens[:val], tokens[val:test], tokens[test:]) if count >= 100 else (tokens,) * 3
    if min(map(len, parts)) < 2:
        raise ValueError
    often = Counter(parts[0])
    vocabulary = sorted(often, key=lambda token: (-often[token], token))[: data.vocab_size]
    known = {token: index for index, token in enumerate(vocabulary, 2)}
    return {name: [known.get(token, UNKNOWN) for token in part] for name, part in zip(PARTS, parts, strict=True)}


def test_the_unit_of_the_model_decides_what_is_kept_of_a_long_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_file, "_SHORT", 9)
    (tmp_path / "text").write_text("ab ba " * 99)
    options = {"path": str(tmp_path / "text"), "num_steps": 10}
    trainer = silent_trainer(max_epochs=1, num_sanity_val_steps=0)
    model = LanguageModel(cell="rnn", hidden_size=4, embedding_size=3)
    with caplog.at_level(logging.INFO, "rnn_lightning"):
        trainer.fit(model, datamodule=NextWord(**options, unit="character"))
        silent_trainer().test(model, datamodule=NextWord(**options, unit="word"), verbose=False)
    assert caplog.messages.count("Reading text and splitting it into tokens (once)") == 1


def test_another_process_gets_the_place_of_a_long_text_and_not_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_file, "_SHORT", 9)
    data = _ready(tmp_path / "text", "ab ba " * 30_000, num_steps=200)
    pickled = pickle.dumps(data.val)
    assert len(pickled) < 5_000
    for one, other in zip(_whole(pickle.loads(pickled))[:3], _whole(data.val)[:3], strict=True):
        assert torch.equal(one, other)


def test_words_of_a_million_letters_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = _ready(tmp_path / "text", "so it " * 50 + "x" * 1_100_000 + " goes" * 40)
    assert caplog.messages == [
        f"{tmp_path / 'text'} has words of a million characters or more, which count as unknown: "
        "data.unit character takes any text"
    ]
    assert data.facts.encoder is not None
    assert data.facts.encoder.words[:3] == ["it", "so", "goes"]
    assert _read(data)[98:101] == ["so", "it", "<unk>"]


def test_very_many_windows_are_ordered_so_by_the_loaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MANY", 20)
    data = _ready(tmp_path / "text", "a b c d e f " * 200, num_steps=10, batch_size=3)
    for part, many in (("train", True), ("val", False), ("test", False)):
        loader = getattr(data, f"{part}_dataloader")()
        assert isinstance(loader.sampler, ManySampler) == many
        assert sum(len(batch.inputs) for batch in loader) == len(getattr(data, part))
