from __future__ import annotations

import json
import sys
import unicodedata
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from rnn_lightning import text as text_module
from rnn_lightning.batch import PAD, UNKNOWN, Truncate
from rnn_lightning.text import (
    TOKENIZER_VERSION,
    TextEncoder,
    Unit,
    encode_chunks,
    in_order,
    lexicon,
    numbered,
    pieces,
    word_tokenizer,
)

UNITS = st.sampled_from(get_args(Unit))
TROUBLE = (
    *("a", "r", "R", "b", "é", "İ", "Σ", "_", "7", "don't", "o’", "'", "’", "<br />", "<BR\n>", "<br", "/>", "<", ">"),
    *(" ", "\n", "\r", "\r\n", "\t", "\x1c", "\x85", "\u2028", "\u3000", "\u00a0", "\u2000", "\ufeff", "\u200d"),
    *("=", ".", ",", "-", "\u0301", "\u0323", "\u0338", "\u0302", "e\u0301", "q\u0307\u0323"),
    *("\u0958", "\u09c7", "\u09be", "\u212b"),
    *("ᄀ", "ᅡ", "ᆨ", "가", "각", "か", "\u3099", "が", "ー", "々", "ｶ", "ﾞ", "我", "喜欢", "，", "。", "\uf900"),
    *("😀", "👍🏽", "👩\u200d💻", "🇩🇪", "\U00016d63", "\U00016d67", "\U0002f800", "𝒜", "①", "Ⅷ", "؛", "ก", "\u0e33"),
)
"""What a border might come between: marks, signs that are joined, tags, words with apostrophes."""
TEXTS = st.lists(st.sampled_from(TROUBLE) | st.characters(exclude_categories=["Cs"]), max_size=25).map("".join)


def _tokens(text: str) -> list[str]:
    """The words a text is split into."""
    tokenizer = word_tokenizer()
    normal = tokenizer.normalizer.normalize_str(text)
    return [token for token, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A Small MIRACLE", ["a", "small", "miracle"]),
        ("ÄRGER Ça Σας", ["ärger", "ça", "σας"]),
        ("Well... (no)!?", ["well", ".", ".", ".", "(", "no", ")", "!", "?"]),
        ("good-looking 10/10", ["good", "-", "looking", "10", "/", "10"]),
        ("one<br />two<br>three<BR/>four", ["one", "two", "three", "four"]),
        ("a < b > c", ["a", "<", "b", ">", "c"]),
        ("I don't; it’s the O'Neill's'", ["i", "don't", ";", "it’s", "the", "o'neill's", "'"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("電影很好看", ["電", "影", "很", "好", "看"]),
        ("DVD版です ok", ["dvd", "版", "で", "す", "ok"]),
        ("fun 😀👍", ["fun", "😀", "👍"]),
        ("cafe\u0301", ["café"]),
        (" \t\n\u00a0", []),
        ("", []),
        ("<pad> <unk>", ["<", "pad", ">", "<", "unk", ">"]),
    ],
)
def test_splits(text: str, tokens: list[str]) -> None:
    assert _tokens(text) == tokens


def test_ids_follow_the_words() -> None:
    encoder = TextEncoder(["the", "film", "!"])
    assert encoder.encode(["The film, the FILM!", "", "<pad> <unk>"]) == [
        [2, 3, UNKNOWN, 2, 3, 4],
        [],
        [UNKNOWN] * 6,
    ]
    assert encoder.vocab_size == 5


def test_batch_is_padded_and_truncated() -> None:
    encoder = TextEncoder(list("abcdefgh"), max_length=4, truncate="head_tail")
    batch = encoder.batch(["a b c d e f g h", "h", ""])
    assert batch.inputs.tolist() == [[2, 7, 8, 9], [9, PAD, PAD, PAD], [PAD] * 4]
    assert batch.lengths.tolist() == [4, 1, 0]
    assert batch.targets is None
    assert batch.inputs.dtype == batch.lengths.dtype == torch.int64


def test_batch_of_no_words() -> None:
    batch = TextEncoder(["a"]).batch(["", " "])
    assert batch.inputs.tolist() == [[PAD], [PAD]]
    assert batch.lengths.tolist() == [0, 0]


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_has_an_encoding(texts: list[str]) -> None:
    words = sorted({token for text in texts for token in _tokens(text)})
    ids = TextEncoder(words).encode(texts)
    assert [[words[i - 2] for i in row] for row in ids] == [_tokens(text) for text in texts]


def test_texts_stay_in_order_over_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_AT_ONCE", 1000)
    texts = ["a " * (i % 7) for i in range(5000)]
    chunks = list(encode_chunks(word_tokenizer(["a"]), texts))
    assert len(chunks) > 20
    assert [len(ids) for chunk in chunks for ids in chunk] == [i % 7 for i in range(5000)]


@pytest.mark.parametrize("max_length", [None, 7])
@pytest.mark.parametrize("truncate", ["head", "tail", "head_tail"])
def test_state_makes_the_same_encoder(max_length: int | None, truncate: Truncate) -> None:
    encoder = TextEncoder(["don't", "電", "😀", '"'], max_length, truncate)
    again = TextEncoder.from_state(json.loads(json.dumps(encoder.state())))
    assert again == encoder
    assert hash(again) == hash(encoder)
    text = 'I DON\'T "know" 電影 😀' * 3
    assert torch.equal(again.batch([text]).inputs, encoder.batch([text]).inputs)


def test_encoders_differ() -> None:
    encoder = TextEncoder(["a", "b"], 5, "tail")
    for other in (TextEncoder(["b", "a"], 5, "tail"), TextEncoder(["a", "b"], 6, "tail"), TextEncoder(["a", "b"], 5)):
        assert other != encoder
    assert encoder != "encoder"


def test_state_of_another_version_is_refused() -> None:
    state = {**TextEncoder(["a"]).state(), "version": TOKENIZER_VERSION + 1}
    with pytest.raises(ValueError, match=f"version {TOKENIZER_VERSION + 1}, this rnn-lightning knows"):
        TextEncoder.from_state(state)


@pytest.mark.parametrize(
    ("text", "unit", "tokens"),
    [
        ("Ein Wort\n\tä 😀<br />", "character", list("Ein Wort\n\tä 😀<br />")),
        ("cafe\u0301 A\u030a", "character", list("café Å")),
        ("電影\u3000好", "character", list("電影\u3000好")),
        ("", "character", []),
        ("我 喜欢，学习。", "spaced_word", ["我", "喜欢", "，", "学习", "。"]),
        ("DVD版です OK don't", "spaced_word", ["dvd版です", "ok", "don't"]),
        ("我 喜欢，学习。", "word", ["我", "喜", "欢", "，", "学", "习", "。"]),
    ],
)
def test_units(text: str, unit: Unit, tokens: list[str]) -> None:
    words = lexicon([text], unit)
    assert words == sorted(set(tokens))
    assert [words[i - 2] for i in TextEncoder(words, unit=unit).encode([text])[0]] == tokens


@given(st.text(max_size=60))
def test_characters_give_the_text_back(text: str) -> None:
    encoder = TextEncoder(lexicon([text], "character"), unit="character")
    (ids,) = encoder.encode([text])
    assert "".join(encoder.piece(i, None) for i in ids) == unicodedata.normalize("NFC", text)


@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from(get_args(Unit)))
def test_a_lexicon_knows_every_token_of_its_texts(texts: list[str], unit: Unit) -> None:
    words = lexicon(texts, unit)
    ids = [i for row in TextEncoder(words, unit=unit).encode(texts) for i in row]
    assert UNKNOWN not in ids
    assert {words[i - 2] for i in ids} == set(words)


def test_a_lexicon_says_nothing_of_how_frequent_a_token_is() -> None:
    assert lexicon(["b b b c", "a c"]) == ["a", "b", "c"]
    assert lexicon([]) == []


@pytest.mark.parametrize(
    ("text", "unit", "written"),
    [
        ("Well, I don't know!", "word", "well, i don't know!"),
        ("a. b; c: d? e!", "spaced_word", "a. b; c: d? e!"),
        ("我 喜欢，学习。好", "spaced_word", "我 喜欢， 学习。 好"),
        ("我喜欢，学习", "word", "我喜欢，学习"),
        ("hello 世界 ok", "word", "hello世界 ok"),
        (" A\n b,c ", "character", " A\n b,c "),
        ("fun 😀", "word", "fun 😀"),
    ],
)
def test_pieces_make_a_text(text: str, unit: Unit, written: str) -> None:
    encoder = TextEncoder(lexicon([text], unit), unit=unit)
    (ids,) = encoder.encode([text])
    assert "".join(encoder.piece(i, before) for before, i in pairwise([None, *ids]) if i is not None) == written


@pytest.mark.parametrize("before", [PAD, UNKNOWN])
def test_a_piece_may_follow_an_unknown_token(before: int) -> None:
    assert TextEncoder(["a", "b"]).piece(2, before) == " a"


@pytest.mark.parametrize("unit", get_args(Unit))
def test_the_unit_is_part_of_the_state(unit: Unit) -> None:
    encoder = TextEncoder(["a", " ", "喜欢"], unit=unit)
    again = TextEncoder.from_state(json.loads(json.dumps(encoder.state())))
    assert again == encoder
    assert again.unit == unit
    assert again.encode(["a 喜欢 A"]) == encoder.encode(["a 喜欢 A"])
    assert all(encoder != TextEncoder(encoder.words, unit=other) for other in get_args(Unit) if other != unit)


def test_a_state_that_names_no_unit_is_of_words() -> None:
    state = TextEncoder(["a"]).state()
    del state["unit"]
    assert TextEncoder.from_state(state).unit == "word"


@pytest.mark.parametrize(
    ("unit", "tokens"),
    [
        ("word", [["Good", "FILM", "café", "DON’T"], ["電", "影", ",", "ok"], [], ["a", "d", "e", "f"]]),
        ("spaced_word", [["Good", "FILM", "café", "DON’T"], ["電影", ",", "ok"], [], ["a", "d", "e", "f"]]),
        ("character", [["G", "N", "’", "T"], ["電", " ", "o", "k"], [], ["a", "e", " ", "f"]]),
    ],
)
def test_tokens_are_written_as_in_the_text(unit: Unit, tokens: list[list[str]]) -> None:
    encoder = TextEncoder(["good"], max_length=4, truncate="head_tail", unit=unit)
    assert encoder.tokens(["Good  FILM<br />cafe\u0301 DON’T", "電影, ok", "", "a b c d e f"]) == tokens


@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from(get_args(Unit)), st.none() | st.integers(1, 9))
def test_there_is_a_token_for_each_id(texts: list[str], unit: Unit, max_length: int | None) -> None:
    encoder = TextEncoder(lexicon(texts, unit), max_length, "head_tail", unit)
    normal = word_tokenizer(unit=unit).normalizer
    batch = encoder.batch(texts)
    for tokens, ids, length in zip(encoder.tokens(texts), batch.inputs.tolist(), batch.lengths.tolist(), strict=True):
        assert [normal.normalize_str(token) for token in tokens] == [encoder.words[index - 2] for index in ids[:length]]


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _ids(texts: list[str], unit: Unit) -> tuple[list[str], list[int]]:
    """The lexicon of texts and their tokens as ids in it, by way of numbers."""
    known: dict[str, int] = {}
    numbers = np.concatenate([np.zeros(0, np.uint8), *(part.tokens for part in numbered(texts, unit, known))])
    words, ids = in_order(known)
    return words, ids[numbers].tolist()


@given(TEXTS, UNITS, st.integers(1, 9), st.integers(1, 9))
@example("one<br \n />two", "word", 4, 1)
@example("<br" + " " * 30 + ">", "spaced_word", 5, 3)
@example("e\u0301" * 9, "character", 1, 1)
@example("각".join("가") + "ᄀ" + "ᅡ" + "ᆨ", "character", 1, 1)
@example("か\u3099" * 5, "word", 1, 1)
@example("don’t won't 'tis", "word", 1, 2)
def test_pieces_have_the_tokens_of_the_whole_text(text: str, unit: Unit, size: int, block: int) -> None:
    words = lexicon([text], unit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "_PIECE", size)
        patch.setattr(text_module, "_AT_ONCE", 3 * size)
        cut = list(pieces(_cut(text, block), unit))
        assert "".join(cut) == text
        assert lexicon(cut, unit) == words
        assert _ids(cut, unit) == (words, TextEncoder(words, unit=unit).encode([text])[0])


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("One line,\nand one more. " * 9, "spaced_word"),
        ("no,spaces.at(all)" * 9, "word"),
        ("学习深度学习" * 20, "word"),
        ("学习深度学习" * 20, "character"),
        ("😀👍" * 60, "word"),
        ("นี่คือภาษาไทย" * 20, "character"),
        ("letters" * 20, "character"),
    ],
)
def test_pieces_are_short_where_the_text_has_borders(text: str, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_PIECE", 10)
    cut = list(pieces(_cut(text, 7), unit))
    assert all(10 <= len(piece) <= 20 for piece in cut[:-1])
    assert len(cut) > len(text) // 20


@pytest.mark.parametrize("unit", get_args(Unit))
def test_no_border_is_before_what_may_be_joined_to_the_character_before(unit: Unit) -> None:
    """By the tables of Python: whatever is second in a composition, or not a starter."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        parts = unicodedata.decomposition(char).split()
        joined = [chr(int(part, 16)) for part in parts[1:] if not parts[0].startswith("<")]
        joined += [char] if unicodedata.combining(char) else []
        joined += list(unicodedata.normalize("NFD", char)[1:]) if "가" <= char <= "힣" else []
        for mark in joined:
            assert text_module._BORDERS[unit].match("x" + mark, 1) is None, f"{ord(mark):x}"


@given(st.integers(20, 70), st.integers(0, 30), st.sampled_from("aé我"), st.integers(1, 9))
def test_a_word_beyond_the_limit_is_cut_and_unknown(length: int, before: int, letter: str, block: int) -> None:
    text = "so " * before + letter * length + " end"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "LONGEST", 20)
        patch.setattr(text_module, "_PIECE", 5)
        cut = list(pieces(_cut(text, block), "spaced_word"))
        assert "".join(cut) == text
        words, ids = _ids(cut, "spaced_word")
    assert {"end"} <= set(words)
    assert all(len(word) < 20 for word in words)
    assert ids[:before] == [words.index("so") + 2] * before if before else True
    assert ids[before] == UNKNOWN
    assert ids[-1] == words.index("end") + 2


def test_marks_beyond_the_limit_are_cut_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "LONGEST", 20)
    monkeypatch.setattr(text_module, "_PIECE", 5)
    text = "a" + "\u0301" * 200
    cut = list(pieces(_cut(text, 3), "character"))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= 30


def test_a_word_of_millions_of_letters_breaks_nothing() -> None:
    """The tokenizer itself gives up on such words."""
    for letters, known in (("a" * 999_999, True), ("a" * 5_000_000, False)):
        cut = list(pieces([f"begin {letters} end"], "word"))
        words, ids = _ids(cut, "word")
        assert {"begin", "end"} <= set(words)
        assert (letters in words) == known
        assert (UNKNOWN in ids) != known
