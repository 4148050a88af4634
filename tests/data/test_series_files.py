"""Series of one's own: read as they stand in their files, scaled by the training part, every damage told in a line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyarrow import parquet

from rnn_lightning import Scaling, SeriesFiles
from rnn_lightning.batch import NO_LABEL

PARTS = ("train", "val", "test")
Found = list[tuple[list[list[float]], Any]]


def _series(count: int = 20, per_step: bool = False) -> Found:
    """Sequences of 1 to 4 steps of two features, and their labels."""
    random = np.random.default_rng(0)
    found: Found = []
    for index in range(count):
        steps = (100 + 7 * random.standard_normal((1 + index % 4, 2))).round(2).tolist()
        labels = [("", "low", "high")[(index + step) % 3] for step in range(len(steps))]
        found.append((steps, labels if per_step else ("low", "high")[index % 2]))
    return found


def _rows(series: Found) -> list[tuple[Any, ...]]:
    rows = []
    for index, (steps, label) in enumerate(series):
        labels = label if isinstance(label, list) else [label] * len(steps)
        rows += [(f"s{index}", *step, name) for step, name in zip(steps, labels, strict=True)]
    return rows


def _csv(path: Path, rows: list[tuple[Any, ...]], header: str = "id,x,y,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (header, *(",".join(map(str, row)) for row in rows))))
    return path


def _ready(path: Path, **options: Any) -> SeriesFiles:
    data = SeriesFiles(str(path), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def _read(data: SeriesFiles, *parts: str) -> Found:
    """Each sequence in the unit of its file, with its label or labels."""
    scaling, labels = data.facts.scaling, data.facts.labels
    assert scaling is not None
    found: Found = []
    for part in parts or PARTS:
        sequences = getattr(data, part)
        inputs, lengths, targets, _ = sequences.__getitems__(list(range(len(sequences))))
        for x, length, target in zip(inputs.double().numpy(), lengths.tolist(), targets.tolist(), strict=True):
            raw = (x[:length] * scaling.deviation + scaling.mean).round(2).tolist()
            names = {**dict(enumerate(labels)), NO_LABEL: ""}
            if isinstance(target, list):
                found.append((raw, [names[index] for index in target[:length]]))
            else:
                found.append((raw, names[target] if labels else target))
    return found


def _refused(path: Path, *parts: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        _ready(path, **options)
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def _long(path: Path) -> dict[str, Any]:
    _csv(path / "a.csv", _rows(_series()))
    return {"path": path / "a.csv", "group": "id"}


def _interleaved(path: Path) -> dict[str, Any]:
    rows = _rows(_series())
    steps = [sum(row[0] == before[0] for before in rows[:index]) for index, row in enumerate(rows)]
    _csv(path / "a.csv", [rows[index] for index in np.argsort(steps, kind="stable")])
    return {"path": path / "a.csv", "group": "id"}


def _parquet(path: Path) -> dict[str, Any]:
    names = ("id", "x", "y", "label")
    table = {name: [row[column] for row in _rows(_series())] for column, name in enumerate(names)}
    parquet.write_table(pa.table(table), path / "a.parquet")
    return {"path": path / "a.parquet", "group": "id"}


def _a_file_each(path: Path) -> dict[str, Any]:
    for index, sequence in enumerate(_series()):
        _csv(path / f"s{index:02}.csv", [row[1:] for row in _rows([sequence])], "x,y,label")
    return {"path": path}


def _a_folder_each(path: Path) -> dict[str, Any]:
    for index, (steps, label) in enumerate(_series()):
        _csv(path / label / f"s{index}.tsv", [(f"{x}\t{y}",) for x, y in steps], "x\ty")
    return {"path": path}


@pytest.mark.parametrize("kind", [_long, _interleaved, _parquet, _a_file_each, _a_folder_each])
def test_every_layout_gives_the_same_sequences(kind: Any, tmp_path: Path) -> None:
    data = _ready(**kind(tmp_path))
    assert sorted(_read(data)) == sorted(_series())
    assert (data.facts.labels, data.facts.input_size, data.facts.per_step) == (("high", "low"), 2, False)
    assert data.summary() == ("16 train / 2 validation / 2 test sequences of 1 to 4 steps, features x, y, 2 classes")


def test_a_step_has_a_label_or_none(tmp_path: Path) -> None:
    series = _series(per_step=True)
    data = _ready(_csv(tmp_path / "a.csv", _rows(series)), group="id", per_step=True)
    assert sorted(_read(data)) == sorted(series)
    assert data.facts.per_step


def test_numbers_are_learnt_as_numbers(tmp_path: Path) -> None:
    series: Found = [(steps, 5000.0 + 10 * index) for index, (steps, _) in enumerate(_series())]
    data = _ready(_csv(tmp_path / "a.csv", _rows(series)), group="id", regression=True)
    assert sorted(_read(data)) == sorted(series)
    train = [target for _, target in _read(data, "train")]
    scaling = data.facts.target_scaling
    assert scaling is not None
    np.testing.assert_allclose((scaling.mean[0], scaling.deviation[0]), (np.mean(train), np.std(train)))


def test_features_are_scaled_by_the_steps_of_the_training_part(tmp_path: Path) -> None:
    series = _series()
    train, test = _csv(tmp_path / "a.csv", _rows(series[:16])), _csv(tmp_path / "b.csv", _rows(series[16:]))
    data = _ready(train, group="id", test_path=str(test))
    steps = np.concatenate([np.array(steps) for steps, _ in _read(data, "train")])
    scaling = data.facts.scaling
    assert scaling is not None
    assert scaling.names == ("x", "y")
    np.testing.assert_allclose(scaling.mean, steps.mean(0), atol=1e-4)
    np.testing.assert_allclose(scaling.deviation, steps.std(0), atol=1e-4)
    assert len(data.test) == 4


def test_a_model_scales_by_its_own_numbers(tmp_path: Path) -> None:
    scaling = Scaling(("y",), (3.0,), (0.5,))
    data = SeriesFiles(str(_csv(tmp_path / "a.csv", _rows(_series()))), group="id")
    model = SimpleNamespace(scaling=scaling, labels=("low", "other", "high"))
    data.trainer = SimpleNamespace(lightning_module=model)  # type: ignore[assignment]  # all that is asked for
    data.setup("test")
    assert data.facts.scaling is scaling
    assert data.facts.labels == ("low", "other", "high")
    wanted: Found = [([[y] for _, y in steps], label) for steps, label in _series()]
    assert sorted(_read(data)) == sorted(wanted)
    data.features = ["x"]
    with pytest.raises(ValueError, match="the model was trained on the features y, in this order"):
        data.setup("test")


@given(
    arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=st.floats(-1e9, 1e9, allow_subnormal=False))
)
def test_scaled_values_have_mean_0_and_deviation_1_or_are_all_the_same(values: np.ndarray[Any, Any]) -> None:
    scaling = Scaling.of(("a", "b"), values)
    scaled = scaling.apply(values)
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert np.abs(scaled.mean(0)).max() < 1e-3
    for column, deviation in zip(scaled.T, scaled.std(0), strict=True):
        assert deviation == pytest.approx(1, abs=1e-3) or np.abs(column).max() < 1e-3
    assert Scaling.from_state(scaling.state()) == scaling


@pytest.mark.parametrize("value", [0, 0.1, 1e12 + 0.3, -7])
def test_a_constant_feature_becomes_zero(value: float, tmp_path: Path) -> None:
    rows = [(name, x, value, label) for name, x, _, label in _rows(_series())]
    data = _ready(_csv(tmp_path / "a.csv", rows), group="id")
    assert (data.example().inputs[..., 1].abs() < 1e-6).all()


def test_small_changes_of_large_numbers_are_kept(tmp_path: Path) -> None:
    rows = [
        (name, f"{1_700_000_000 + index * 0.001:.3f}", 0, label)
        for index, (name, *_, label) in enumerate(_rows(_series()))
    ]
    data = _ready(_csv(tmp_path / "a.csv", rows), group="id")
    values = np.concatenate([data.train.whole().values, data.val.whole().values, data.test.whole().values])
    assert len(np.unique(values[:, 0])) == len(rows)


def test_features_are_all_columns_that_begin_with_a_number(tmp_path: Path) -> None:
    rows = [(name, "note", x, "", y, label) for name, x, y, label in _rows(_series())]
    path = _csv(tmp_path / "a.csv", rows, "id,remark,x,nothing,y,label")
    assert _read(_ready(path, group="id")) == _read(_ready(path, group="id", features=["x", "y"]))
    assert _ready(path, group="id", features=["y"]).facts.input_size == 1


def test_folders_of_the_parts_are_found(tmp_path: Path) -> None:
    series = _series()
    for index, (steps, label) in enumerate(series):
        part = "test" if index >= 16 else "train"
        _csv(tmp_path / part / label / f"{index}.csv", [tuple(step) for step in steps], "x,y")
    data = _ready(tmp_path)
    assert sorted(_read(data, "test")) == sorted(series[16:])
    assert sorted(_read(data, "train", "val")) == sorted(series[:16])


def test_raw_sequences_are_read_for_a_model(tmp_path: Path) -> None:
    series = _series()
    path = _csv(tmp_path / "new.csv", [(row[0], row[2], row[1]) for row in _rows(series)], "id,y,x")
    names, values = SeriesFiles("old.csv", group="id").unlabelled(path, ("x", "y"))
    assert names == [f"s{index}" for index in range(20)]
    assert [array.tolist() for array in values] == [steps for steps, _ in series]
    folder = tmp_path / "new"
    _a_file_each(folder)
    names, values = SeriesFiles("old").unlabelled(folder, ("x", "y"))
    assert names == [f"s{index:02}" for index in range(20)]
    assert [array.tolist() for array in values] == [steps for steps, _ in series]


GOOD = "id,x,label\n" + "".join(f"{name},{i},{label}\n" for i, name in enumerate("abcd") for label in ["ud"[i % 2]] * 2)


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (GOOD + "e,,u\n", {}, "a.csv, line 10: there is no number in the column 'x'"),
        (GOOD + "e,NaN,u\n", {}, "a.csv, line 10: 'NaN' in the column 'x' is not a finite number"),
        (GOOD + "e,-inf,u\n", {}, "a.csv, line 10: '-inf' in the column 'x' is not a finite number"),
        (GOOD + 'e,"1,5",u\n', {}, "a.csv, line 10: '1,5' in the column 'x' is not a finite number; decimals"),
        (GOOD + "e,one,u\n", {}, "a.csv, line 10: 'one' in the column 'x' is not a finite number"),
        (GOOD + "e,1,\n", {}, "a.csv, line 10: there is no label in the column 'label'"),
        (GOOD + "a,1,d\n", {}, "a.csv, line 10: the label of the sequence 'a' is 'd', and was 'u' before"),
        (GOOD + ",1,d\n", {}, "a.csv, line 10: the column 'id' is empty, which tells the sequences apart"),
        (GOOD + "e,1\n", {}, "a.csv, line 10: there are 2 fields where the header has 3"),
        (GOOD, {"group": "ix"}, "a.csv has no column 'ix'; it has id, x, label"),
        (GOOD, {"label": "lable"}, "a.csv has no column 'lable'; it has id, x, label; did you mean 'label'?"),
        (GOOD, {"features": ["x", "z"]}, "a.csv has no column 'z'"),
        (GOOD, {"features": ["id"]}, "features has 'id'"),
        (GOOD, {"features": ["x", "x"]}, "features has 'x'"),
        (GOOD, {"features": []}, "features is empty"),
        (GOOD, {"group": None}, "one table: group has to name the column that tells its sequences apart; it has id, x"),
        (GOOD, {"regression": True}, "a.csv, line 2: 'u' in the column 'label' is not a finite number"),
        (GOOD, {"regression": True, "per_step": True}, "per_step and regression are both true"),
        ("id,x,label\n", {}, "a.csv has no column of features"),
        ("id,x,label\n", {"features": ["x"]}, "a.csv has no rows"),
        ("id,x,label\na,1,u\n", {}, "of the 1 sequences of"),
        ("id,label\na,u\n", {}, "a.csv has no column of features that begins with a number, beside the group and the"),
        ("id,x,x,label\na,1,2,u\n", {}, "a.csv has two columns called 'x'"),
        (GOOD.replace("d\n", "u\n"), {}, "one class alone, 'u'"),
        ("id,x,label\n" + "a,1,\nb,1,\nc,1,\n", {"per_step": True}, "the training part has no label"),
        ("id,x,label\n" + "a,1e200,u\nb,-1e200,d\n" * 2 + "c,1e200,u\nd,-1e200,d\n", {}, "column 'x' are too large"),
        ("", {}, "a.csv is empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_told_with_its_place(
    content: str, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(content)
    _refused(tmp_path / "a.csv", said, **{"group": "id", **options})


def test_a_mistake_in_a_parquet_file_is_told_with_its_row(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "a", "b"], "x": [1.0, None, 2.0], "label": [1, 1, 2]})
    parquet.write_table(table, tmp_path / "a.parquet")
    _refused(tmp_path / "a.parquet", "a.parquet, row 2: there is no number in the column 'x'", group="id")
    parquet.write_table(pa.table({"id": ["a"], "x": [[1.0]], "label": [1]}), tmp_path / "b.parquet")
    _refused(tmp_path / "b.parquet", "row 1: there is neither text nor a number in 'x'", group="id", features=["x"])


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, f"{tmp_path} holds no folders: one for each class is wanted, with table files in it")
    _refused(tmp_path, f"{tmp_path} holds no tables", per_step=True)
    (tmp_path / "a").mkdir()
    _refused(tmp_path, f"{tmp_path / 'a'} holds no table files")
    _refused(tmp_path / "b", f"{tmp_path / 'b'} does not exist")
    _a_file_each(tmp_path / "c")
    (tmp_path / "c" / "empty.csv").write_text("x,y,label\n")
    _refused(tmp_path / "c", "empty.csv has no", features=["x"])


def test_a_label_of_the_test_file_alone_is_refused(tmp_path: Path) -> None:
    train = _csv(tmp_path / "a.csv", _rows(_series()))
    test = _csv(tmp_path / "b.csv", [("z", 1, 2, "middle")])
    _refused(
        train, f"{test}, line 2: the label 'middle' is not one of the training part's", group="id", test_path=str(test)
    )
