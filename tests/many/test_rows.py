"""Two and three processes learn what one does, for every task on every data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from rnn_lightning import LanguageModel, SequenceClassifier, SequenceTagger, registry
from rnn_lightning.data.base import SequenceData
from tests.many import TOGETHER, Found, Row, in_processes, scored, trained

SIZES = {"num_train": 37, "num_val": 31, "num_test": 19}
"""None divides by two or three; of the training's, one is left for the last batch."""
_CLASSIFIER = partial(SequenceClassifier, hidden_size=4, embedding_size=3)
_TAGGER = partial(SequenceTagger, hidden_size=4, embedding_size=3)
_LANGUAGE = partial(LanguageModel, hidden_size=4, embedding_size=3)


def _data(name: str, **options: object) -> partial[SequenceData]:
    return partial(_made, name, options)


def _made(name: str, options: dict[str, object], batch_size: int) -> SequenceData:
    data: SequenceData = registry.resolve("data", name)(batch_size=batch_size, **options)
    return data


def _digits(batch_size: int) -> SequenceData:
    return _made("Digits", {}, 50 * batch_size)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> dict[str, Row]:
    folder = tmp_path_factory.mktemp("many")
    texts, series, book = folder / "texts.csv", folder / "series.csv", folder / "book.txt"
    texts.write_text("text,label\n" + "".join(f"{'good ' * (i % 7 + 1)}{i},{'ab'[i % 2]}\n" for i in range(61)))
    steps = [f"{i},{(i * s) % 5},{s % 3},{'xy'[i % 2]},{'' if s % (i % 3 + 1) else 'uv'[s % 2]}\n"
             for i in range(53) for s in range(i % 6 + 1)]
    series.write_text("name,a,b,kind,tag\n" + "".join(steps))
    book.write_text(" ".join("abcdefg"[i * i % 7] * (i % 3 + 1) for i in range(701)))
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
        "SeriesFiles": Row(_CLASSIFIER, _data("SeriesFiles", path=str(series), group="name", features=["a", "b"], label="kind")),
        "SeriesFiles by steps": Row(
            _TAGGER, _data("SeriesFiles", path=str(series), group="name", features=["a", "b"], label="tag", per_step=True)
        ),
        "SyntheticSequences": Row(_CLASSIFIER, _data("SyntheticSequences", **varied, **SIZES)),
        "SyntheticSequences with SGD": Row(_CLASSIFIER, _data("SyntheticSequences", **varied, **SIZES), "SGD"),
        "TemporalOrder": Row(_CLASSIFIER, _data("TemporalOrder", num_steps=10, **SIZES), "SGD"),
        "TextFiles": Row(_CLASSIFIER, _data("TextFiles", path=str(texts), text="text", label="label")),
        "two batches a step": Row(
            _TAGGER, _data("Parity", max_steps=8, test_steps=12, **SIZES), trainer={"accumulate_grad_batches": 2}
        ),
        "fewer sequences than processes": Row(_CLASSIFIER, _data("SyntheticSequences", **{**SIZES, "num_train": 1})),
    }


@pytest.fixture(scope="session")
def alone(rows: dict[str, Row]) -> dict[str, Found]:
    return {name: trained(row) for name, row in rows.items()}


@pytest.mark.parametrize("processes", [2, 3])
def test_all(rows, alone, processes, tmp_path) -> None:
    found = in_processes(rows, processes, tmp_path)
    bad = []
    for name, row in rows.items():
        many, one = found[name], alone[name]
        for e, (a, b) in enumerate(zip(many.epochs, one.epochs, strict=True)):
            for k in b:
                if not a.get(k) == pytest.approx(b[k], rel=1e-5, abs=1e-6):
                    bad.append((name, e, k, a.get(k), b[k]))
        task = row.task()
        task.adopt
    assert not bad, "\n".join(map(str, bad))
