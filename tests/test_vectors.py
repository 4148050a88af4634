"""Files of word vectors: every layout that others write, and every way in which a file can be broken."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_lightning.vectors import read_vectors, vector_size

PLAIN = "the 0.5 -1.25 3e-2\nfilm 1 2 3\nschön -0.1 0.2 -0.3\n電 7 8 9\n"
WORDS = ["film", "unheard", "the", "電", "schön"]
VALUES = np.array([[1, 2, 3], [0, 0, 0], [0.5, -1.25, 0.03], [7, 8, 9], [-0.1, 0.2, -0.3]], np.float32)
KNOWN = [True, False, True, True, True]


def _written(folder: Path, content: str | bytes, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


LAYOUTS = {
    "as GloVe writes it": PLAIN,
    "header of word2vec and fastText": f"4 3\n{PLAIN}",
    "spaces at the ends of the lines": f"4 3 \n{PLAIN}".replace("\n", " \n"),
    "Windows' line ends": PLAIN.replace("\n", "\r\n"),
    "Windows' line ends under a header": f"4 3\n{PLAIN}".replace("\n", "\r\n"),
    "a byte order mark": f"\ufeff{PLAIN}",
    "a byte order mark before a header": f"\ufeff4 3\n{PLAIN}",
    "no end of the last line": PLAIN.removesuffix("\n"),
    "empty lines": PLAIN.replace("\n", "\n\n") + "\n\n",
    "other words": f"{PLAIN}other 1 1 1\n. . . 2 2 2\nname@domain.com 3 3 3\n" + "wide\u00a0space 4 4 4\n",
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_is_read_as_it_was_written(tmp_path: Path, layout: str, zipped: bool) -> None:
    content = LAYOUTS[layout].encode()
    path = _written(tmp_path, gzip.compress(content) if zipped else content)
    assert vector_size(path) == 3
    values, known = read_vectors(path, WORDS)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, VALUES)
    assert known.tolist() == KNOWN


def test_whether_a_file_is_compressed_is_told_by_its_content(tmp_path: Path) -> None:
    path = _written(tmp_path, gzip.compress(PLAIN.encode()), "vectors.txt")
    np.testing.assert_array_equal(read_vectors(path, WORDS).values, VALUES)
    path = _written(tmp_path, PLAIN, "vectors.txt.gz")
    np.testing.assert_array_equal(read_vectors(str(path), WORDS).values, VALUES)


def test_words_may_have_spaces_in_them(tmp_path: Path) -> None:
    """As in GloVe's 840B, where '. . .' and 'at name@domain.com' are words; no-break spaces are in none of them."""
    words = [". . .", "at name@domain.com", "Mr.\u00a0Bean", "\u2028", "\u00a0", "..."]
    lines = ["first 0 0", *(f"{word} {i}.5 -{i}" for i, word in enumerate(words[:-1])), ". 9 9"]
    values, known = read_vectors(_written(tmp_path, "\n".join(lines)), words)
    assert values.tolist() == [[0.5, 0], [1.5, -1], [2.5, -2], [3.5, -3], [4.5, -4], [0, 0]]
    assert known.tolist() == [True] * 5 + [False]


def test_of_a_word_that_stands_there_twice_the_first_counts(tmp_path: Path) -> None:
    path = _written(tmp_path, "a 1 2\nb 3 4\na 5 6\nb nonsense 6\n")
    assert read_vectors(path, ["b", "a"]).values.tolist() == [[3, 4], [1, 2]]


def test_words_that_are_numbers_are_words(tmp_path: Path) -> None:
    path = _written(tmp_path, "the 1 2\n1984 3 4\n0.5 5 6\nnan 7 8\n")
    assert read_vectors(path, ["nan", "0.5", "1984"]).values.tolist() == [[7, 8], [5, 6], [3, 4]]


def test_case_makes_another_word(tmp_path: Path) -> None:
    path = _written(tmp_path, "The 1 2\n")
    assert read_vectors(path, ["the", "The"]).known.tolist() == [False, True]


def test_the_home_folder_has_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _written(tmp_path, PLAIN)
    assert vector_size("~/vectors.txt") == 3
    assert read_vectors("~/vectors.txt", ["the"]).known.all()


# The command has the processor take numbers below 1e-38 for zero, in the process of these tests too.
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=10))
def test_values_are_exact_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, table: list[list[float]]) -> None:
    rows = [" ".join((f"w{i}", *(str(np.float32(x)) for x in row))) for i, row in enumerate(table)]
    path = _written(tmp_path_factory.mktemp("exact"), "\n".join(rows))
    values, known = read_vectors(path, [f"w{i}" for i in range(len(table))])
    assert known.all()
    np.testing.assert_array_equal(values.view(np.uint32), np.array(table, np.float32).view(np.uint32))


GZIPPED = gzip.compress(np.random.default_rng(0).integers(97, 122, 4000, np.uint8).tobytes())
BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "{path} is empty: there are no vectors in it"),
    "empty gz": (gzip.compress(b""), "{path} is empty: there are no vectors in it"),
    "blank lines": ("\n  \n\t\n", "{path} is empty: there are no vectors in it"),
    "a header and nothing else": ("4 3\n", "{path} is empty: there are no vectors in it"),
    "words without numbers": ("the\nfilm\n", "{path}, line 1: a word and its numbers are wanted, divided by spaces"),
    "divided by tabs": ("the\t1\t2\n", "{path}, line 1: a word and its numbers are wanted, divided by spaces"),
    "divided by commas": ("the,1,2\n", "{path}, line 1: a word and its numbers are wanted, divided by spaces"),
    "a text": ("It was a dark night\n", "{path}, line 1: 'was' is not a finite number"),
    "a word in place of a number": ("the 1 2 3\nfilm 1 two 3\n", "{path}, line 2: 'two' is not a finite number"),
    "two spaces": ("the 1  3\n", "{path}, line 1: '' is not a finite number"),
    "nan": ("the 1 2\nfilm 1 nan\n", "{path}, line 2: 'nan' is not a finite number"),
    "infinite": ("the 1 2\nfilm -inf 1\n", "{path}, line 2: '-inf' is not a finite number"),
    "infinite in float32": ("the 1 2\nfilm 1e39 1\n", "{path}, line 2: '1e39' is not a finite number"),
    "nan in the first line": ("the 1 nan\n", "{path}, line 1: 'nan' is not a finite number"),
    "a shorter line": ("the 1 2 3\nother 1 2 3\nfilm 1 2\n", "{path}, line 3: 2 numbers, where the first line has 3"),
    "a shorter line of another word": ("the 1 2 3\nother 1 2\n", "{path}, line 2: 2 numbers, where the first line has"),
    "a longer line": ("the 1 2 3\nfilm 1 2 3 4\n", "{path}, line 2: 4 numbers, where the first line has 3"),
    "a longer line of another word": ("the 1 2\nother 1 2 3\n", "{path}, line 2: 3 numbers, where the first line has"),
    "a word alone": ("the 1 2\nfilm\n", "{path}, line 2: 0 numbers, where the first line has 2"),
    "a second header": ("2 3\n2 3\nthe 1 2 3\nfilm 1 2 3\n", "{path}, line 3: 3 numbers, where the first line has 1"),
    "cut off in a line": (PLAIN[:-4], "{path}, line 4: 1 numbers, where the first line has 3"),
    "not UTF-8": (b"the 1 2\ncaf\xe9 1 2\n", "{path}, line 2: this is not UTF-8 text"),
    "not UTF-8 from the start": (b"\xff\xfet\x00h\x00", "{path}, line 1: this is not UTF-8 text"),
    "word2vec's binary": (b"3 2\nthe \xcd\xcc\xcc=\xcd\xccL>\n", "{path}, line 2: this is not UTF-8 text"),
    "a cut gz": (gzip.compress(b"the 1 2\n" * 5000)[:60], "{path} is damaged or cut off after line "),
    "a gz of its first bytes": (b"\x1f\x8b", "{path} is damaged or cut off after line 0"),
    "a changed gz": (GZIPPED[:40] + b"????" + GZIPPED[44:], "{path} is damaged or cut off after line 0"),
    "a gz of nonsense": (GZIPPED[:10] + b"\xff" * 20, "{path} is damaged or cut off after line 0"),
    "a gz and something else": (gzip.compress(b"the 1 2\n") + b"more", "{path} is damaged or cut off after line 1"),
    "none of the words": ("one 1 2\ntwo 1 2\n", "{path} has a vector for none of the 2 words of the vocabulary"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_its_name_and_line(tmp_path: Path, kind: str) -> None:
    content, said = BROKEN[kind]
    path = _written(tmp_path, content)
    with pytest.raises(ValueError, match=re.escape(said.format(path=path))) as error:
        read_vectors(path, ["the", "film"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [vector_size, lambda path: read_vectors(path, ["the"])], ids=["size", "all"])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, read: object) -> None:
    assert callable(read)
    for path, why in ((tmp_path / "nowhere.txt", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read: {why}")):
            read(path)


def test_the_size_is_told_by_the_first_line_alone(tmp_path: Path) -> None:
    assert vector_size(_written(tmp_path, "the 1 2 3\nfilm nonsense\n")) == 3
    assert vector_size(_written(tmp_path, b"400000 300\nthe" + b" 0.1" * 300 + b"\n\xff")) == 300
    assert vector_size(_written(tmp_path, gzip.compress(b"the 1 2\n" * 5000)[:60])) == 2


def test_no_words_are_none_of_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the 0 words of the vocabulary"):
        read_vectors(_written(tmp_path, PLAIN), [])


@pytest.fixture(scope="module")
def real_file() -> Path:
    folder, name = os.environ.get("RNN_LIGHTNING_DATA"), "glove.6B.50d.top60k.txt.gz"
    path = Path(folder or "") / name
    if folder is None or not path.exists():
        pytest.skip(f"$RNN_LIGHTNING_DATA holds no {name}")
    return path


def test_glove_is_read(real_file: Path) -> None:
    assert vector_size(real_file) == 50
    values, known = read_vectors(real_file, ["the", "film", "no such word as this"])
    assert known.tolist() == [True, True, False]
    np.testing.assert_array_equal(values[0, :3], np.array([0.418, 0.24968, -0.41242], np.float32))
    np.testing.assert_array_equal(values[2], np.zeros(50))


def test_every_line_of_glove_is_read(real_file: Path) -> None:
    with gzip.open(real_file, "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.split(" ") for line in file]
    values, known = read_vectors(real_file, [word for word, *_ in lines])
    assert known.all()
    np.testing.assert_array_equal(values, np.array([numbers for _, *numbers in lines], float).astype(np.float32))
