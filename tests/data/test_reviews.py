from __future__ import annotations

import gzip
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rnn_lightning.data.reviews import ARCHIVE, Reviews, locate, read
from tests.archives import FILMS, members, pack, unpack


def _equal(a: Reviews, b: Reviews) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def _without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in members().items() if not any(part in name for part in names)}


# where the reviews are looked for


def test_named_archive_comes_before_data_folder(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(tmp_path))
    pack(tmp_path / ARCHIVE, members())
    assert locate(str(archive)) == archive
    assert locate() == tmp_path / ARCHIVE


def test_data_folder_is_the_users_cache_unless_told(cache: Path) -> None:
    cache.mkdir(parents=True)
    pack(cache / ARCHIVE, members())
    assert locate() == cache / ARCHIVE


def test_folder_may_be_the_one_around(tmp_path: Path) -> None:
    unpack(tmp_path / "data", members())
    assert locate(str(tmp_path / "data")) == tmp_path / "data" / "aclImdb"
    assert locate(str(tmp_path / "data" / "aclImdb")) == tmp_path / "data" / "aclImdb"


def test_home_is_understood(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/small.tar.gz") == archive


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no/such\.tar\.gz does not exist"):
        locate(str(tmp_path / "no" / "such.tar.gz"))
    with pytest.raises(ValueError, match="holds no reviews: there is no folder train or aclImdb/train in it"):
        locate(str(tmp_path))


def test_a_file_in_the_data_folder_need_not_be_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(tmp_path))
    pack(tmp_path / ARCHIVE, members())
    assert len(read(locate()).texts) == 20


# what is read


def test_reviews_in_order(archive: Path) -> None:
    read_reviews = read(archive)
    assert len(read_reviews.texts) == 20
    assert read_reviews.splits.tolist() == [0] * 10 + [1] * 10
    assert read_reviews.ids.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] * 2
    assert read_reviews.labels.tolist() == [0, 1] * 10
    assert read_reviews.texts[0].startswith("Awful. The actors")
    assert read_reviews.texts[5] == "Der Film ist schön. 電影很好看 😀"
    assert read_reviews.texts[14] == ""


def test_line_n_of_the_addresses_is_review_n(archive: Path) -> None:
    read_reviews = read(archive)
    films = [film for pair in zip(FILMS["neg"], FILMS["pos"], strict=True) for film in pair]
    assert read_reviews.films.tolist() == films + [-1] * 10


def test_films_unknown_without_addresses(tmp_path: Path) -> None:
    assert (read(pack(tmp_path / "a.tar.gz", _without("urls"))).films == -1).all()
    short = {**members(), "aclImdb/train/urls_pos.txt": b"http://www.imdb.com/title/tt0000011/usercomments\nnonsense\n"}
    films = read(pack(tmp_path / "a.tar.gz", short)).films
    assert films[1:10:2].tolist() == [11, -1, -1, -1, -1]


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_archive_folder_and_any_compression_are_one(archive: Path, tmp_path: Path, mode: str) -> None:
    expected = read(archive)
    assert _equal(read(pack(tmp_path / "archive", members(), mode)), expected)
    assert _equal(read(locate(str(unpack(tmp_path / "folder", members())))), expected)


@pytest.mark.parametrize("root", ["", "./", "./aclImdb/", "backup/aclImdb/"])
def test_root_of_the_archive_does_not_matter(archive: Path, tmp_path: Path, root: str) -> None:
    files = {root + name.removeprefix("aclImdb/"): content for name, content in members().items()}
    # As macOS adds them.
    files[f"{root}train/pos/._0_9.txt"] = b"\x00\x05\x16\x07"
    assert _equal(read(pack(tmp_path / "a.tar.gz", files)), read(archive))


def test_nothing_is_unpacked(archive: Path) -> None:
    before = sorted(archive.parent.rglob("*"))
    read(archive)
    assert sorted(archive.parent.rglob("*")) == before


def test_films_of_the_real_archive(real_archive: Path) -> None:
    found = read(real_archive)
    assert len(found.texts) == 50_000
    counts = np.unique(np.stack((found.splits, found.labels)), axis=1, return_counts=True)[1]
    assert counts.tolist() == [12_500] * 4
    assert (found.films >= 0).tolist() == (found.splits == 0).tolist()
    for start, film in {"Bromwell High is a cartoon comedy": 453418, "Story of a man who has unnatural": 64354}.items():
        assert [int(f) for t, f in zip(found.texts, found.films, strict=True) if t.startswith(start)] == [film]
    # Lines counted from 1, or in another order, would put films of one name side by side as if they were two.
    positive = np.flatnonzero((found.splits == 0) & (found.labels == 1))
    names = [set(re.findall(r"\b[A-Z][a-z]+\b", found.texts[i])) for i in positive]
    frequency = Counter(name for review in names for name in review)
    common = np.array([sum(frequency[n] < 100 for n in a & b) for a, b in pairwise(names)])
    films = found.films[positive]
    shared = [common[np.diff(np.roll(films, shift)) != 0].mean() for shift in (0, -1, 1)]
    assert shared[0] < 0.1
    assert min(shared[1:]) > 1


# what is wrong


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_cut_anywhere(archive: Path, tmp_path: Path, mode: str) -> None:
    whole = pack(tmp_path / "whole", members(), mode).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    # The last bytes one by one: there lies the checksum.
    for size in {*range(0, len(whole), 23), *range(len(whole) - 40, len(whole))}:
        cut.write_bytes(whole[:size])
        expected = r"cut\.tar\.gz is damaged or cut off" if size >= 2 else r"cut\.tar\.gz is not a tar archive"
        with pytest.raises(ValueError, match=expected):
            read(cut)


def test_cut_anywhere_without_compression(archive: Path, tmp_path: Path) -> None:
    whole = pack(tmp_path / "whole", members(), "w:").read_bytes()
    end = len(whole.rstrip(b"\0"))
    cut = tmp_path / "cut.tar"
    for size in {*range(512, end, 512), *range(513, end, 511), end, -(-end // 512) * 512}:
        cut.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut\.tar is damaged or cut off"):
            read(cut)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_flipped_byte(archive: Path, place: float) -> None:
    content = bytearray(archive.read_bytes())
    content[int(len(content) * place)] ^= 0x15
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"small\.tar\.gz is damaged or cut off"):
        read(archive)


def test_flipped_byte_in_a_header_without_compression(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar", members(), "w:")
    content = bytearray(archive.read_bytes())
    content[content.index(b"aclImdb/test/pos")] ^= 0x15
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar is damaged or cut off"):
        read(archive)


def test_checksum_far_behind_the_last_review(tmp_path: Path) -> None:
    content = pack(tmp_path / "whole.tar", members(), "w:").read_bytes() + bytes(1 << 20)
    packed = gzip.compress(content)
    (tmp_path / "a.tar.gz").write_bytes(packed)
    assert len(read(tmp_path / "a.tar.gz").texts) == 20
    (tmp_path / "a.tar.gz").write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    with pytest.raises(ValueError, match=r"a\.tar\.gz is damaged or cut off \(CRC"):
        read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("content", [b"", b"<html>Moved</html>" * 100, b"\0" * 20_000], ids=["empty", "page", "zeros"])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar\.gz (is not a tar archive|holds no reviews)"):
        read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("place", ["train/neg", "train/pos", "test/neg", "test/pos"])
def test_missing_class(tmp_path: Path, place: str) -> None:
    archive = pack(tmp_path / "a.tar.gz", _without(f"{place}/"))
    folder = unpack(tmp_path / "folder", _without(f"{place}/"))
    for path in (archive, locate(str(folder))):
        with pytest.raises(ValueError, match=f"{path} is incomplete: it has no reviews in {place}"):
            read(path)


def test_no_reviews_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tar\.gz holds no reviews: a review is a file like train/pos/0_9\.txt"):
        read(pack(tmp_path / "a.tar.gz", _without("/pos/", "/neg/")))


def test_review_that_is_no_text(tmp_path: Path) -> None:
    files = {**members(), "aclImdb/test/pos/3_9.txt": b"caf\xe9"}
    with pytest.raises(ValueError, match=r"a\.tar\.gz: aclImdb/test/pos/3_9\.txt is not UTF-8 text \(byte 3\)"):
        read(pack(tmp_path / "a.tar.gz", files))
    with pytest.raises(ValueError, match=r"aclImdb: test/pos/3_9\.txt is not UTF-8 text"):
        read(unpack(tmp_path / "folder", files) / "aclImdb")


def test_no_permission(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by the file's mode: root, whom tests may run as, is allowed everything.
    def refuse(path: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=r"small\.tar\.gz cannot be read: no permission"):
        read(archive)
