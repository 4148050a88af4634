"""Real files of every kind that the product reads, and how it reads them."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from rnn_lightning import SeriesFiles, TextFiles, load
from rnn_lightning.callbacks.records import rows_before
from rnn_lightning.cli import chosen, configs, predictions, reported, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.data import cache, reviews, text_file
from rnn_lightning.vectors import read_vectors, vector_size
from tests.archives import members, pack
from tests.faults import mutations
from tests.faults.fuzz import Kind
from tests.faults.mutations import bytewise, packed
from tests.tasks.helpers import feature_model, language_model, saved, text_model

_ARRAYS = ("ids", "offsets")


def kinds(folder: Path, run: Path) -> dict[str, Kind]:
    """All kinds.

    Args:
        folder: for what is made once.
        run: a run of features that was tested.
    """
    folder.mkdir(parents=True)
    models = {"features": feature_model(), "text": text_model(), "language": language_model()}
    checkpoints = {f"{name}.ckpt": saved(model, folder / f"{name}.ckpt") for name, model in models.items()}
    whole = {name: path.read_bytes() for name, path in checkpoints.items()}
    weights = {name: _checkpoint(path) for name, path in checkpoints.items()}
    config = _file(run / "config.yaml")
    shipped = {Path(name).name: (configs.folder() / name).read_bytes() for name in configs.shipped()}
    trees = (bytewise, mutations.yaml_tree, mutations.yaml_tree)
    found = {
        "checkpoint": Kind(whole, _checkpoint, (bytewise, mutations.zip_parts, mutations.checkpoint_tree), 25, weights),
        "config": Kind({**config, **shipped}, _config, trees, 50),
        "config of a run": Kind(config, _config_of_a_run, trees, 25),
        "training by a config": Kind({**config, **shipped}, _training, trees, 3),
        "metrics.csv": Kind(_file(run / "metrics.csv"), _metrics, (bytewise, mutations.cells), 80),
        "predictions.jsonl": Kind(
            _file(run / predictions.FILE),
            _predictions,
            (bytewise, mutations.json_lines),
            80,
        ),
        "test/metrics.json": Kind(_file(run / "test" / "metrics.json"), _scores, (bytewise, mutations.json_tree), 80),
        "cache": Kind({"cache/": _cached(folder)}, _cache, (bytewise,), 90),
        "text": Kind({"text.txt": "Das 學習 is great, isn't it?\r\nNo.\n".encode() * 20}, _text, (bytewise,), 60),
        "vectors": Kind({"vectors.txt": _vectors()}, _read_vectors, (bytewise,), 60),
        "vectors.gz": Kind({"vectors.gz": _gz(_vectors())}, _read_vectors, (bytewise, packed("gz", bytewise)), 40),
    }
    for ending in ("", "gz", "bz2", "xz"):
        name = f"reviews.tar{ending and '.'}{ending}"
        content = pack(folder / name, members(), f"w:{ending}").read_bytes()
        inner = (packed(ending, one) for one in (bytewise, mutations.tar_headers, mutations.tar_members))
        found[name] = Kind({name: content}, reviews.read, (bytewise, *inner), 35)
    texts, series = _text_rows(), _series_rows()
    for ending, write, mutation in (
        ("csv", _csv(","), mutations.cells),
        ("tsv", _csv("\t"), bytewise),
        ("jsonl", _json, mutations.json_lines),
        ("parquet", _parquet, bytewise),
    ):
        for what, rows, read in (("texts", texts, _texts), ("series", series, _series)):
            name = f"{what}.{ending}"
            found[name] = Kind({name: write(rows)}, read, (bytewise, mutation), 35)
    found["texts.csv.gz"] = Kind(
        {"texts.csv.gz": _gz(_csv(",")(texts))},
        _texts,
        (bytewise, packed("gz", bytewise), packed("gz", mutations.cells)),
        30,
    )
    return found


def _file(path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes()}


def _checkpoint(path: Path) -> Any:
    model = load(path)
    if model.encoder is not None:
        model.predict_text(["a good film"])
    else:
        model.predict_series([np.ones((4, 3))])
    return {name: value.tolist() for name, value in model.state_dict().items()}


def _config(path: Path) -> None:
    content = configs.read(path)
    configs.written_out(path, ("data", "trainer"))
    configs.merged([configs.base(), path])
    chosen.wanted([content])


def _config_of_a_run(path: Path) -> None:
    runs.at_a_glance(path.parent)
    runs.recorded(path.parent)


def _training(path: Path) -> None:
    configs.read(path)
    command = FitCommand("fit", [f"--config={configs.base()}", f"--config={path}"])
    command.parser.dump(command.config, skip_none=False)


def _metrics(path: Path) -> None:
    (path.parent / "config.yaml").write_text("checkpoint: {monitor: val_loss, mode: min}\n", "utf-8")
    runs.at_a_glance(path.parent)
    rows_before(path, 3)


def _predictions(path: Path) -> None:
    run = _as_tested(path)
    predictions.read(run)


def _scores(path: Path) -> None:
    run = _as_tested(path)
    runs.at_a_glance(run)
    reported._scores(run)


def _as_tested(path: Path) -> Path:
    """The folder as that of a run, with the file where `test` writes it."""
    (path.parent / "test").mkdir()
    path.rename(path.parent / "test" / path.name)
    return path.parent


def _cache(path: Path) -> None:
    kept = cache._load(path, _ARRAYS)
    if kept is not None:
        for array in kept.arrays.values():
            array.sum()


def _text(path: Path) -> None:
    text_file.prepare(path, "word")
    text_file.open_tokens(path, "word")


def _read_vectors(path: Path) -> None:
    vector_size(path)
    read_vectors(path, ["good", "bad", "film"])


def _texts(path: Path) -> None:
    data = TextFiles(str(path))
    data.prepare_data()
    data.setup("fit")
    data.summary()
    list(data.unlabelled(path))


def _series(path: Path) -> None:
    data = SeriesFiles(str(path), group="id")
    data.prepare_data()
    data.setup("fit")
    data.summary()
    data.unlabelled(path, ["a", "b"])


def _text_rows() -> list[dict[str, Any]]:
    words = ("good", "bad", "film", "schön", "電影", "don't", 'so "called"', "a,b", "two\nlines", "")
    random = Random(0)
    return [{"text": " ".join(random.choices(words, k=9)), "label": random.choice(("pos", "neg"))} for _ in range(60)]


def _series_rows() -> list[dict[str, Any]]:
    return [
        {"id": f"s{index}", "a": math.sin(step), "b": step / 7 - index, "label": ("x", "y")[index % 2]}
        for index in range(14)
        for step in range(4 + index % 3)
    ]


def _csv(separator: str) -> Callable[[list[dict[str, Any]]], bytes]:
    import csv

    def write(rows: list[dict[str, Any]]) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()

    return write


def _json(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=32)
    return out.getvalue()


def _vectors() -> bytes:
    return b"".join(b"%s 0.5 -1.25 3e-2 7\n" % word for word in (b"good", b"bad", "schön".encode(), b"film", b"."))


def _gz(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


def _cached(folder: Path) -> bytes:
    """A folder of the cache, as one file."""
    made = folder / "cache"
    made.mkdir()
    np.save(made / "ids.npy", np.arange(300, dtype=np.int32))
    np.save(made / "offsets.npy", np.arange(0, 301, 100))
    (made / "lexicon.json").write_text(json.dumps(["a", "b", "學"]), "utf-8")
    checks = {name: zlib.crc32((made / name).read_bytes()) for name in ("ids.npy", "offsets.npy", "lexicon.json")}
    (made / "meta.json").write_text(json.dumps(checks), "utf-8")
    return json.dumps({path.name: path.read_bytes().hex() for path in made.iterdir()}).encode()
