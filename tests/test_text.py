from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnn_lightning.batch import PAD, UNKNOWN, Truncate
from rnn_lightning.text import TOKENIZER_VERSION, TextEncoder, Unit, encode_chunks, lexicon, word_tokenizer


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


def test_texts_stay_in_order_over_many_chunks() -> None:
    texts = ["a " * (i % 7) for i in range(5000)]
    chunks = list(encode_chunks(word_tokenizer(["a"]), texts))
    assert len(chunks) > 1
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
