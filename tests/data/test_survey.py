"""What is told of a data set, counted another way; and what stands out in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_lightning import IMDb, NextWord, Parity, SyntheticSequences
from rnn_lightning.batch import Facts
from rnn_lightning.data import sampler, survey
from rnn_lightning.data.base import SequenceData
from rnn_lightning.data.seeded import SeededSequences
from tests.archives import members, pack


class Numbers(SequenceData):
    """Sequences of whole numbers, given as lists."""

    name = "numbers"

    def __init__(self, *parts: list[list[float]], labels: list[int] | None = None) -> None:
        super().__init__(batch_size=2)
        self.facts = Facts(1, ("no", "yes"))
        self.labels = labels
        self.train, self.val, self.test = map(self._made, parts)

    def _made(self, rows: list[list[float]]) -> SeededSequences:
        x = np.zeros((len(rows), max(map(len, rows)), 1), np.float32)
        for row, values in enumerate(rows):
            x[row, : len(values), 0] = values
        targets = np.array((self.labels or [0, 1] * len(rows))[: len(rows)])
        return SeededSequences(x, np.array([len(row) for row in rows]), targets)


def _table(data: SequenceData) -> dict[str, list[str]]:
    """The cells of each row; there are three parts, and of some rows fewer cells."""
    first, *lines = survey.table(data, survey.parts(data))
    assert first.split() == ["train", "validation", "test"]
    start = max(line.index(next(filter(None, line.split("  ")))) for line in lines)
    assert start == 0
    return {line.split("  ")[0]: [cell.strip() for cell in line.split("  ")[1:] if cell] for line in lines}


def _ready(data: SequenceData) -> SequenceData:
    data.setup("fit")
    return data


ROWS = st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=3), min_size=1, max_size=9)


@settings(max_examples=30)
@given(st.tuples(ROWS, ROWS, ROWS))
def test_duplicates_are_counted_whatever_the_padding(parts: tuple[list[list[float]], ...]) -> None:
    cells = _table(Numbers(*parts))
    rows = [[tuple(row) for row in part] for part in parts]
    assert cells["duplicates within"] == [str(sum(count - 1 for count in Counter(part).values())) for part in rows]
    assert cells["in train too"] == [str(sum(row in rows[0] for row in part)) for part in rows[1:]]


def test_lengths_classes_and_padding_are_those_of_the_parts() -> None:
    data = Numbers([[1.0]] * 3 + [[1.0, 2.0, 3.0]], [[1.0], [2.0]], [[4.0]], labels=[1, 0, 1, 1])
    cells = _table(data)
    assert cells["sequences"] == ["4", "2", "1"]
    assert cells["steps: least, median, most"] == ["1, 1, 3", "1", "1"]
    assert cells["class no"] == ["25.0 %", "50.0 %", "0.0 %"]
    assert cells["class yes"] == ["75.0 %", "50.0 %", "100.0 %"]
    assert cells["padding in the batches"] == ["25.0 %", "0.0 %"]  # 1 and 1 steps, 1 and 3 steps


def test_numbers_that_are_not_finite_are_found_beside_the_padding() -> None:
    nan, inf = float("nan"), float("inf")
    data = Numbers([[1.0, nan], [inf]], [[0.0], [1.0]], [[nan], [1.0]])
    data.train.x[1, 1] = nan  # beyond the second sequence
    found = survey.parts(data)
    assert _table(data)["numbers that are not finite"] == ["2", "0", "1"]
    assert survey.mistakes(data, found) == [
        "the train part has 2 numbers that are not finite",
        "the test part has 1 numbers that are not finite",
    ]


def test_a_part_of_one_class_is_told() -> None:
    data = Numbers([[0.0], [1.0]], [[0.0]], [[0.0], [1.0]])
    assert survey.mistakes(data, survey.parts(data)) == ["the validation part has one class alone, no"]


def test_a_review_is_a_duplicate_by_all_of_its_words(tmp_path: Path) -> None:
    """Others that begin alike, or whose words are all unknown, are none."""
    files = members()
    places = [name for name in files if "/test/" in name]
    files.update(dict.fromkeys(places[:4], b"One out of ten"))
    files.update(dict.fromkeys(places[4:7], b"One out of eleven"))
    files.update({name: b"Boring film!" for name in files if "/train/pos/" in name})
    data = _ready(IMDb(str(pack(tmp_path / "small.tar.gz", files)), vocab_size=1, max_length=2))
    rows = [[tuple(row) for row in _rows(part)] for part in (data.train, data.val, data.test)]
    cells = _table(data)
    within = [sum(count - 1 for count in Counter(part).values()) for part in rows]
    assert within[2] >= 5
    assert cells["duplicates within"] == [str(count) for count in within]
    assert cells["in train too"] == [str(sum(row in rows[0] for row in part)) for part in rows[1:]]
    sizes = [[len(row) for row in part] for part in rows]
    wanted = [1 - sum(min(size, 2) for size in part) / sum(part) for part in sizes]
    assert cells["tokens cut off"] == [f"{100 * share:.1f} %" for share in wanted]
    wanted = [sum(size > 2 for size in part) / len(part) for part in sizes]
    assert cells["sequences cut off"] == [f"{100 * share:.1f} %" for share in wanted]


def _rows(part: Any) -> list[list[int]]:
    whole = part.whole()
    return [list(row) for row in np.split(whole.values, whole.offsets[1:-1])]


def test_unknown_words_are_those_outside_the_vocabulary(tmp_path: Path) -> None:
    """Eight tenths of 160 are for training, the last of them is a target alone: c is there 31 times."""
    (tmp_path / "book.txt").write_text("a b a c " * 40)
    data = _ready(NextWord(str(tmp_path / "book.txt"), vocab_size=2, num_steps=8))
    assert _table(data)["unknown tokens"][0] == f"{100 * 31 / 127:.1f} %"
    assert "class" not in "".join(_table(data))


def test_much_cut_off_is_told(archive: Path) -> None:
    data = _ready(IMDb(str(archive), max_length=1))
    (said,) = (line for line in survey.mistakes(data, survey.parts(data)) if "max_length" in line)
    assert said.startswith("max_length 1 cuts off ")
    assert said.endswith(" % of the training tokens")
    assert not any("max_length" in line for line in survey.mistakes(data, survey.parts(_ready(IMDb(str(archive))))))


def test_classes_of_steps_are_counted_where_there_is_one() -> None:
    cells = _table(_ready(Parity(num_train=50, num_val=20, num_test=20)))
    shares = [
        sum(float(cells[name][part].split()[0]) for name in cells if name.startswith("class ")) for part in (0, 1)
    ]
    assert shares == pytest.approx([100, 100], abs=0.2)


def test_many_classes_are_told_by_the_rarest_and_the_most_frequent() -> None:
    data = SyntheticSequences(num_train=200, num_val=50, num_test=50, num_classes=30)
    cells = _table(_ready(data))
    counts = Counter(_ready(data).train.targets.tolist())
    assert cells["most frequent of 30 classes"][0].endswith(f"{100 * max(counts.values()) / 200:.1f} %")
    assert cells["rarest of 30 classes"][0].endswith(f"{100 * min(counts.get(i, 0) for i in range(30)) / 200:.1f} %")


def test_numbers_as_targets_have_no_classes() -> None:
    cells = _table(_ready(SyntheticSequences(num_train=20, num_val=5, num_test=5, num_classes=0)))
    assert not [name for name in cells if "class" in name]


def test_of_very_many_sequences_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_NUMBERS", 7 * 5 * 3)
    data = _ready(SyntheticSequences(num_train=20, num_val=7, num_test=9))
    found = survey.parts(data)
    assert [len(part.keys) for part in found] == [7, 7, 7]
    assert survey.table(data, found)[-2:] == [
        "Looked at: the first 7 of 20 train sequences",
        "Looked at: the first 7 of 9 test sequences",
    ]
    monkeypatch.setattr(survey, "MANY", 3)
    assert [len(part.keys) for part in survey.parts(data)] == [3, 3, 3]
    assert sampler.MANY > 3
