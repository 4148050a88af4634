"""Two and three processes learn what one does, for every task on every data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnn_lightning import LanguageModel, SequenceClassifier, SequenceTagger, registry
from rnn_lightning.data.base import SequenceData
from rnn_lightning.tasks.one_answer import NotTrained
from tests.many import TOGETHER, Found, Row, in_processes, scored, trained

SIZES = {"num_train": 37, "num_val": 31, "num_test": 19}
"""None divides by two or three; of the training's, one is left for the last batch."""
_OTHERWISE = {"batch normalisation"}
"""What depends on the batch of each process."""
_IN_THREE = (
    "NextWord",
    "NextWord in streams",
    "SeriesFiles by steps",
    "SyntheticSequences",
    "fewer sequences than processes",
)
_CLASSIFIER = partial(SequenceClassifier, hidden_size=4, embedding_size=3)
_TAGGER = partial(SequenceTagger, hidden_size=4, embedding_size=3)
_LANGUAGE = partial(LanguageModel, hidden_size=4, embedding_size=3)


def _data(name: str, **options: object) -> partial[SequenceData]:
    return partial(_made, name, options)


def _made(name: str, options: dict[str, object], batch_size: int) -> SequenceData:
    data: SequenceData = registry.resolve("data", name)(batch_size=batch_size, **options)
    return data


def _digits(batch_size: int) -> SequenceData:
    return _made("Digits", {}, 60 * batch_size)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> dict[str, Row]:
    folder = tmp_path_factory.mktemp("many")
    texts, series, book = folder / "texts.csv", folder / "series.csv", folder / "book.txt"
    texts.write_text("text,label\n" + "".join(f"{'good ' * (i % 7 + 1)}{i},{'ab'[i % 2]}\n" for i in range(61)))
    steps = [
        f"{i},{(i * s) % 5},{s % 3},{'xy'[i % 2]},{'' if s % (i % 3 + 1) else 'uv'[s % 2]}\n"
        for i in range(53)
        for s in range(i % 6 + 1)
    ]
    series.write_text("name,a,b,kind,tag\n" + "".join(steps))
    book.write_text(" ".join("abcdefg"[i * i % 7] * (i % 3 + 1) for i in range(301)))
    varied = {"min_steps": 1, "num_steps": 9}
    return {
        "AddingProblem": Row(_CLASSIFIER, _data("AddingProblem", num_steps=6, **SIZES), "SGD"),
        "CopyMemory": Row(_TAGGER, _data("CopyMemory", num_steps=3, **SIZES)),
        "Digits": Row(_CLASSIFIER, _digits, "SGD"),
        "IMDb": Row(_CLASSIFIER, _data("IMDb", path=str(archive), vocab_size=40, val_fraction=0.5)),
        "NextWord": Row(_LANGUAGE, _data("NextWord", path=str(book), num_steps=5, vocab_size=9)),
        "NextWord in streams": Row(_LANGUAGE, _data("NextWord", path=str(book), num_steps=5, streams=True), "SGD"),
        "Parity": Row(_TAGGER, _data("Parity", max_steps=8, test_steps=12, **SIZES), "SGD"),
        "SelectiveCopy": Row(_TAGGER, _data("SelectiveCopy", num_steps=10, **SIZES)),
        "SeriesFiles": Row(
            _CLASSIFIER, _data("SeriesFiles", path=str(series), group="name", features=["a", "b"], label="kind")
        ),
        "SeriesFiles by steps": Row(
            _TAGGER,
            _data("SeriesFiles", path=str(series), group="name", features=["a", "b"], label="tag", per_step=True),
        ),
        "SyntheticSequences": Row(
            _CLASSIFIER, _data("SyntheticSequences", **varied, **SIZES), trainer={"max_epochs": 3}
        ),
        "SyntheticSequences with SGD": Row(_CLASSIFIER, _data("SyntheticSequences", **varied, **SIZES), "SGD"),
        "TemporalOrder": Row(_CLASSIFIER, _data("TemporalOrder", num_steps=10, **SIZES), "SGD"),
        "TextFiles": Row(_CLASSIFIER, _data("TextFiles", path=str(texts), text="text", label="label")),
        "two batches a step": Row(
            _TAGGER, _data("Parity", max_steps=8, test_steps=12, **SIZES), trainer={"accumulate_grad_batches": 2}
        ),
        "batch normalisation": Row(
            partial(_CLASSIFIER, batch_norm=True), _data("SyntheticSequences", **varied, **SIZES)
        ),
        "fewer sequences than processes": Row(_CLASSIFIER, _data("SyntheticSequences", **{**SIZES, "num_train": 1})),
    }


@pytest.fixture(scope="session")
def alone(rows: dict[str, Row]) -> dict[str, Found]:
    """What one process makes of each row."""
    return {name: trained(row) for name, row in rows.items()}


@pytest.fixture(scope="session", params=[2, 3])
def together(
    request: pytest.FixtureRequest, rows: dict[str, Row], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Found]:
    """What several processes make of each row."""
    chosen = {name: row for name, row in rows.items() if request.param == 2 or name in _IN_THREE}
    return in_processes(chosen, request.param, tmp_path_factory.mktemp("together"))


def test_every_task_and_every_data_set_is_a_row(rows: dict[str, Row]) -> None:
    made = {type(row.data(1)).__name__ for row in rows.values()}
    assert made == set(registry.names("data"))
    trained = {name for name in registry.names("tasks") if not issubclass(registry.resolve("tasks", name), NotTrained)}
    assert {type(row.task()).__name__ for row in rows.values()} == trained


def test_several_processes_learn_what_one_learns(
    rows: dict[str, Row], alone: dict[str, Found], together: dict[str, Found]
) -> None:
    """The losses of each epoch, weighed by sequences or tokens, and the weights in the end."""
    for name in together.keys() - _OTHERWISE:
        for epoch, wanted in zip(together[name].epochs, alone[name].epochs, strict=True):
            assert epoch == pytest.approx(wanted, rel=1e-5, abs=1e-6), name
        for part, weight in alone[name].weights.items():
            if part != "_extra_state":
                torch.testing.assert_close(
                    together[name].weights[part], weight, rtol=0, atol=1e-5, msg=f"{name}: {part}"
                )


def test_several_processes_score_as_one(rows: dict[str, Row], together: dict[str, Found]) -> None:
    """Measurements, intervals, and what came out for each sequence, in the order of the data."""
    for name, found in together.items():
        row = rows[name]
        task, data = row.task(), row.data(TOGETHER)
        data.prepare_data()
        data.setup("fit")
        task.adopt(data.facts)
        task.load_state_dict(found.weights)
        test, intervals, outcomes = scored(row, task)
        assert found.test == pytest.approx(test, rel=1e-6, abs=1e-6), name
        assert found.intervals.keys() == intervals.keys()
        for key, interval in intervals.items():
            assert found.intervals[key] == pytest.approx(interval, rel=1e-5, abs=1e-6), name
        assert found.outcomes.keys() == outcomes.keys()
        for key, values in outcomes.items():
            assert _flat(found.outcomes[key]) == pytest.approx(_flat(values), rel=1e-5, abs=1e-6), (name, key)


def _flat(values: list[Any]) -> list[Any]:
    if isinstance(values[0], str):
        return [hash(value) for value in values]
    return np.asarray(values, float).ravel().tolist()
