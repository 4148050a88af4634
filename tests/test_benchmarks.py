"""The benchmarks run, say what they found, and notice a ratio that is far off. How fast anything is, is not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, _run

FOLDER = Path(__file__).parents[1] / "benchmarks"
TINY = {
    "training": ("--hidden_size=4", "--batch_size=4", "--max_length=8", "--batches=1"),
    "denormals": ("--num_steps=4", "--size=2"),
    "optimizer": ("--steps=1", "--vocab_size=10"),
    "data": ("--hidden_size=4", "--batches=1"),
    "trainer": ("--steps=2", "--data.num_train=64"),
    "waiting": ("--batch_size=4", "--max_length=8"),
    "processes": ("--steps=2",),
    "layers": ("--num_steps=256",),
    "export": ("--vocab_size=10", "--num_steps=5"),
    "scaling": (),
    "startup": (),
    "accuracy": ("--minutes=0.01",),
}
SLOW = ("processes", "accuracy", "scaling")
"""The scripts, and options that make little of them."""
HELD = {
    "training": ["rnn-lightning is faster than bare loop by", "rnn-lightning is faster than packed by"] * 2,
    "denormals": ["mean, ours: flushing is faster by"],
    "optimizer": ["AdamW: fused is faster than default by"],
    "layers": ["mingru trains faster than torch's GRU by", "lstm_ln trains longer than lstm by"],
    "startup": ["rnn-lightning fit to its first step takes longer than import lightning.pytorch by"],
    "data": ["share of making the batches", "a review in its batch"],
}
"""What must be among the figures that are held to a bound, and in that order."""


def _script(name: str, *words: object) -> Result:
    return _run([sys.executable, str(FOLDER / f"{name}.py"), *map(str, words)])


def _figure(**changes: Any) -> dict[str, Any]:
    return {"what": "ours is faster by", "value": 2.0, "at_least": None, "at_most": None, "unit": "", **changes}


def _written(file: Path, *figures: dict[str, Any]) -> Path:
    """A file as a benchmark writes it, with made-up numbers."""
    content = {"command": "python benchmarks/made_up.py", "machine": {"cores": 2}, "figures": figures}
    file.write_text(json.dumps(content), "utf-8")
    return file


def test_every_benchmark_is_tested() -> None:
    scripts = {path.stem for path in FOLDER.glob("*.py") if "side_by_side import" in path.read_text("utf-8")}
    assert scripts - {"report", "keras_example"} == set(TINY)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in TINY]
)
def test_a_benchmark_prints_and_writes_what_it_found(name: str, workplace: Path) -> None:
    result = _script(name, "--quick", "--repeats=1", "--json=found.json", *TINY[name])
    assert result.code == 0, result.err
    found = json.loads((workplace / "found.json").read_text("utf-8"))
    assert found["command"].startswith(f"python benchmarks/{name}.py --quick")
    assert "found.json" not in found["command"]
    assert {"processor", "cores", "threads", "torch", "matrix multiply, GFLOP/s"} <= found["machine"].keys()
    printed = [line for line in result.out.splitlines() if "  " in line]
    assert [line.split("  ")[0] for line in printed] == [figure["what"] for figure in found["figures"]]
    assert all(figure["value"] >= 0 for figure in found["figures"])
    held = [f["what"] for f in found["figures"] if (f["at_least"], f["at_most"]) != (None, None)]
    for wanted in HELD.get(name, []):
        assert any(wanted in what for what in held)
    assert list(workplace.iterdir()) == [workplace / "found.json"]


def test_a_ratio_far_below_its_floor_or_above_its_ceiling_fails_in_one_line(workplace: Path) -> None:
    good = _written(workplace / "good.json", _figure(at_least=3.0), _figure(value=0.04, at_most=0.03))
    assert _script("report", good, "--check") == Result(0, "", "")

    slow = _written(workplace / "slow.json", _figure(at_least=3.5))
    result = _script("report", good, slow, "--check")
    assert result == Result(1, "", "benchmarks: far off: ours is faster by 2, at least 3.5\n")

    large = _written(workplace / "large.json", _figure(what="share of the data", value=0.06, at_most=0.03))
    result = _script("report", large, slow, "--check")
    assert result.code == 1
    told = "share of the data 0.06, at most 0.03; ours is faster by 2, at least 3.5"
    assert result.err == f"benchmarks: far off: {told}\n"


def test_times_are_no_reason_to_fail(workplace: Path) -> None:
    times = _written(workplace / "times.json", _figure(value=900.0, at_most=10, unit="µs"))
    assert _script("report", times, "--check").code == 0


def test_the_document_has_a_table_for_each_benchmark_and_shows_what_was_missed(workplace: Path) -> None:
    one = _written(workplace / "one.json", _figure(at_least=1.5), _figure(what="a step", value=1234.5, unit="ms"))
    two = _written(workplace / "two.json", _figure(at_least=2.5))
    assert _script("report", one, two, "--output", "docs/benchmarks.md").code == 0
    document = (workplace / "docs" / "benchmarks.md").read_text("utf-8")
    assert document.count("## `python benchmarks/made_up.py`") == 2
    assert "| ours is faster by | 2 | at least 1.5 |\n| a step | 1,234 ms |  |\n" in document
    assert "| ours is faster by | **2** | at least 2.5 |\n" in document
    assert "cores 2\n" in document
