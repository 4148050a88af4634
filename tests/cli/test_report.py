"""Pictures of runs: what they show, what they are called, and what is said where nothing was recorded."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.colors import to_hex
from matplotlib.image import imread

from rnn_lightning.cli import curves
from rnn_lightning.cli.report import labelled
from tests.cli.helpers import files, one_mistake
from tests.conftest import SMALL, Command, _train

PROBED = ("--config", "presets/gradients.yaml", *SMALL, "--trainer.callbacks.every_n_steps=3")
RECORDS = ["gradient_norms.csv", "gradients.csv", "spectral_radii.csv"]


@pytest.fixture(scope="session")
def _probed_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed")
    for cell in ("rnn", "lstm"):
        _train(folder, "--config", f"{cell}.yaml", *PROBED)
    return folder / "runs"


@pytest.fixture
def probed(_probed_runs: Path, workplace: Path) -> dict[str, Path]:
    """A run of an RNN and one of an LSTM with their gradients, in the runs/ of this test."""
    shutil.copytree(_probed_runs, "runs", dirs_exist_ok=True)
    return {run.parent.name.partition("-")[0]: run for run in Path("runs").glob("*/*")}


DRAWN = ["learning.png", "gradients.png", "report.html"]


def _but_for_tests(err: str) -> list[str]:
    """What was said, but that the runs are not tested."""
    return [line for line in err.splitlines() if " has no test scores: rnn-lightning test --run " not in line]


def _holds_a_picture(path: Path) -> None:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(path)
    height, width, _ = pixels.shape
    assert 400 < height < 1500
    assert 600 < width < 3000
    assert len({tuple(pixel) for pixel in pixels.reshape(-1, pixels.shape[2])[::7].tolist()}) > 10
    assert not list(path.parent.glob("*.unfinished"))


def test_the_newest_run_is_drawn_in_its_own_folder(command: Command, probed: dict[str, Path]) -> None:
    newest = max(probed.values(), key=lambda run: run.name)
    assert set(RECORDS) <= set(files(newest))
    newest = newest.rename(newest.with_name("2099-01-01_00-00-00"))
    result = command("report")
    assert (result.code, result.err) == (0, f"{newest} has no test scores: rnn-lightning test --run {newest}\n")
    assert result.out.splitlines() == [str(newest / name) for name in DRAWN]
    for line in result.out.splitlines()[:-1]:
        _holds_a_picture(Path(line))


def test_several_runs_share_a_picture(command: Command, probed: dict[str, Path]) -> None:
    result = command("report", probed["rnn"], probed["lstm"].relative_to("runs"), probed["rnn"])
    assert (result.code, _but_for_tests(result.err)) == (0, [])
    assert result.out.splitlines() == [f"report/{name}" for name in DRAWN]
    assert files(Path("report")) == sorted(DRAWN)
    _holds_a_picture(Path("report/gradients.png"))
    _holds_a_picture(Path("report/learning.png"))


def test_a_folder_may_be_named_and_pictures_drawn_again(command: Command, probed: dict[str, Path]) -> None:
    for _ in range(2):
        result = command("report", f"--output={Path('some', 'where')}", probed["rnn"])
        assert (result.code, _but_for_tests(result.err)) == (0, [])
        assert files(Path("some")) == sorted(f"where/{name}" for name in DRAWN)
    assert "learning.png" not in files(probed["rnn"])


def _write_gradients(run: Path, *rows: tuple[Any, ...]) -> None:
    lines = [("step", "layer", "direction", "state", "distance", "norm"), *rows]
    (run / "gradients.csv").write_text("".join(f"{','.join(map(str, line))}\n" for line in lines), "utf-8")


def test_each_panel_shows_its_record_in_the_colour_of_the_legend(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for run in (one, other):
        run.mkdir()
    own = [(0, 0, "forward", state, d, 0.5**d) for state in "hc" for d in range(3)]
    _write_gradients(one, *own, *((9, 0, "forward", "h", d, 0.1**d) for d in range(3)))
    _write_gradients(other, (0, 0, "forward", "h", 0, 2.0), (0, 0, "forward", "h", 1, 0.0))
    figure, missing = curves.gradients({"lstm": one, "rnn": other})
    assert figure is not None
    assert missing == []
    left, right = figure.axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("before training, step 0", "after training")
    assert left.get_yscale() == "log"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["lstm", "rnn", "hidden state h", "memory cell c"]
    lstm, rnn, *_ = (to_hex(handle.get_color()) for handle in legend.get_lines())
    drawn = [(to_hex(line.get_color()), line.get_linestyle(), list(line.get_ydata())[:2]) for line in left.lines]
    assert drawn[:2] == [(lstm, "-", [1.0, 0.5]), (lstm, "--", [1.0, 0.5])]
    assert drawn[2][:2] == (rnn, "-")
    assert drawn[2][2] == pytest.approx([2.0, math.nan], nan_ok=True)  # a logarithm has no place for 0
    assert list(right.lines[0].get_ydata()) == pytest.approx([1.0, 0.1, 0.01])


def test_layers_and_directions_have_lines_of_their_own(tmp_path: Path) -> None:
    places = [(layer, direction) for layer in range(4) for direction in ("forward", "backward")]
    _write_gradients(tmp_path, *((0, *place, "h", 0, 1.0) for place in places))
    figure, _ = curves.gradients({"bilstm": tmp_path})
    assert figure is not None
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:-1] == [f"bilstm, layer {layer}, {direction}" for layer, direction in places]
    assert len({to_hex(line.get_color()) for line in figure.axes[0].lines}) == 8


def test_vanishing_beyond_all_measure_leaves_the_rest_readable(tmp_path: Path) -> None:
    _write_gradients(tmp_path, *((0, 0, "forward", "h", d, 10.0 ** (-d)) for d in range(38)))
    figure, _ = curves.gradients({"rnn": tmp_path})
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert 1e-13 < low < 1e-11
    assert 1 < high < 10


def test_the_losses_are_those_that_were_printed(command: Command, feature_run: Path) -> None:
    figure, missing = curves.learning({"lstm": feature_run})
    assert figure is not None
    assert missing == []
    validation, training = figure.axes[0].lines
    metrics = (feature_run / "metrics.csv").read_text("utf-8").splitlines()
    column = metrics[0].split(",").index("val_loss")
    wanted = [float(row.split(",")[column]) for row in metrics[1:] if row.split(",")[column]]
    assert list(validation.get_ydata()) == wanted
    assert list(validation.get_xdata()) == list(training.get_xdata()) == [1, 2]


def test_a_run_without_gradients_is_told_how_to_get_them(
    command: Command, probed: dict[str, Path], feature_run: Path
) -> None:
    alone = command("report", feature_run)
    assert (alone.code, alone.out) == (0, f"{feature_run / 'learning.png'}\n{feature_run / 'report.html'}\n")
    line = f"{feature_run} has no gradients.csv: train with --config presets/gradients.yaml to record it"
    assert _but_for_tests(alone.err) == [line]
    beside = command("report", probed["rnn"], feature_run)
    assert (beside.code, _but_for_tests(beside.err)) == (0, [line])
    assert beside.out.splitlines() == [f"report/{name}" for name in DRAWN]


def test_a_run_that_has_recorded_nothing_yet(command: Command, feature_run: Path) -> None:
    shutil.rmtree(feature_run / "checkpoints")
    (feature_run / "metrics.csv").unlink()
    result = command("report")
    assert (result.code, result.out) == (0, f"{feature_run / 'report.html'}\n")
    first, second, third = result.err.splitlines()
    assert first == f"{feature_run} has no losses in metrics.csv yet"
    assert second.startswith(f"{feature_run} has no gradients.csv: ")
    assert third.startswith(f"{feature_run} has no test scores: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "there is no run 'nowhere' under runs/"),
        (("runs",), "there is no run 'runs' under runs/"),
        (("--output",), "--output wants a value"),
        (("--outptu=x",), "report has no option --outptu; it has --output; did you mean '--output'?"),
        (("--run=x",), "report has no option --run; it has --output"),
        (("--output=file",), "file/learning.png cannot be written: "),
    ],
    ids=str,
)
def test_a_mistake_is_told_and_nothing_written(
    command: Command, feature_run: Path, words: tuple[str, ...], said: str
) -> None:
    Path("file").touch()
    before = files(Path())
    result = command("report", *words)
    one_mistake(result, said)
    assert len(result.err.splitlines()) == 1
    assert (result.out, files(Path())) == ("", before)


def test_without_a_run_it_says_how_to_get_one(command: Command) -> None:
    one_mistake(command("report"), "no run under runs/ to report", "(rnn-lightning fit --config lstm.yaml)")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gradients.csv", b"step,epoch\n0,0\n"),
        ("gradients.csv", b"step,layer,direction,state,distance,norm\n0,0,forward,h,0\n"),
        ("gradients.csv", b"step,layer,direction,state,distance,norm\n0,0,forward,x,0,1.0\n"),
        ("gradients.csv", b"\xff\xfe\xfa"),
        ("metrics.csv", b"epoch,train_loss,step\nx,y,z\n"),
        ("metrics.csv", b"\xff\xfe\xfa"),
    ],
)
def test_a_damaged_record_is_named(command: Command, feature_run: Path, name: str, content: bytes) -> None:
    (feature_run / name).write_bytes(content)
    result = command("report")
    one_mistake(result, f"{feature_run / name} is damaged")
    assert (result.out, [file for file in files(feature_run) if file.endswith(".png")]) == ("", [])


def test_drawing_imports_no_torch(python: Any, feature_run: Path) -> None:
    lines = "import sys; from rnn_lightning.cli import main; main(['report']); print('torch' in sys.modules)"
    result = python(lines)
    assert result.out.splitlines()[-1] == "False", result.err


def test_without_matplotlib_it_says_what_to_install(python: Any, feature_run: Path) -> None:
    without = "import sys; sys.modules['matplotlib'] = None"
    result = python(f"{without}; from rnn_lightning.cli import main; sys.exit(main(['report']))")
    one_mistake(result, "report draws with matplotlib: pip install 'rnn-lightning[plot]'")


def _run(name: str, **config: Any) -> Path:
    folder = Path(name)
    folder.mkdir(parents=True)
    options = config.pop("options", {})
    content = {
        "seed_everything": 1,
        "model": {"class_path": "SequenceClassifier", "init_args": {"cell": "lstm", "init": "default", **options}},
        "data": {"class_path": "AddingProblem"},
        **config,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content), "utf-8")
    return folder


def test_runs_are_called_by_what_tells_them_apart(workplace: Path) -> None:
    runs = [
        _run("a", options={"cell": "rnn"}),
        _run("b"),
        _run("c", options={"init": "torch"}),
        _run("d", options={"cell": "gru", "cell_options": {"reset": "before"}}),
        _run("e", options={"cell": "gru"}),
        _run("f", options={"cell": "mingru"}),
        _run("g", options={"cell": "mingru"}, seed_everything=2),
        _run("h", options={"cell": "qrnn", "bidirectional": True}),
        _run("i", options={"cell": "qrnn", "bidirectional": True}),
    ]
    found = labelled(runs)
    assert list(found.values()) == runs
    assert list(found) == [
        *("rnn", "lstm, init default", "lstm, init torch", "gru, reset before", "gru", "mingru, seed 1"),
        *("mingru, seed 2", "biqrnn, h", "biqrnn, i"),
    ]


def test_a_torch_beginning_is_another_picture(command: Command, probed: dict[str, Path]) -> None:
    fitted = command("fit", "--config", "rnn.yaml", *PROBED, "--model.init=torch")
    assert fitted.code == 0, fitted.err
    radii = {
        run: float((run / "spectral_radii.csv").read_text("utf-8").splitlines()[1].rpartition(",")[2])
        for run in Path("runs").glob("rnn-*/*")
    }
    first, second = sorted(radii, key=lambda run: abs(radii[run] - 1.0))
    assert radii[first] == pytest.approx(1.0, abs=1e-5)  # orthogonal
    assert 0.2 < radii[second] < 0.95  # about 1 / sqrt(3), for a large matrix
    assert list(labelled([first, second])) == ["rnn, init default", "rnn, init torch"]


@pytest.mark.parametrize(
    "options",
    [
        ("--trainer.callbacks+=GradientProbe",),
        ("--trainer.callbacks=rnn_lightning.callbacks.GradientProbe", "--trainer.callbacks.every_n_steps=2"),
        ("--config", "next_word.yaml", "--config", "presets/gradients"),
    ],
    ids=str,
)
def test_the_probe_is_asked_for_by_name(command: Command, options: tuple[str, ...]) -> None:
    sizes = SMALL if "next_word.yaml" not in options else ("--model.hidden_size=8", "--trainer.max_epochs=2")
    fitted = command("fit", *options, *sizes)
    assert (fitted.code, fitted.err) == (0, "")
    (run,) = Path("runs").glob("*/*")
    assert set(RECORDS) <= set(files(run))
    assert re.search(r"^  callbacks:\n  - class_path: .*GradientProbe$", (run / "config.yaml").read_text("utf-8"), re.M)


def test_a_wrong_number_is_told_before_anything_is_trained(command: Command) -> None:
    result = command("fit", *PROBED, "--trainer.callbacks.every_n_steps=0")
    one_mistake(result, "every_n_steps is 0; it must be at least 1")
    assert list(Path().iterdir()) == []


def test_a_preset_does_not_disturb_the_other_verbs(command: Command, probed: dict[str, Path]) -> None:
    assert command("test", "--config", "presets/gradients.yaml").code == 0


def test_one_of_two_processes_records(installed: Command) -> None:
    processes = ("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp")
    fitted = installed("fit", *PROBED, "--trainer.max_epochs=1", *processes)
    assert fitted.code == 0, fitted.err
    (run,) = Path("runs").glob("*/*")
    rows = (run / "gradients.csv").read_text("utf-8").splitlines()[1:]
    assert len(rows) == len({tuple(row.split(",")[:-1]) for row in rows})
    assert {row.partition(",")[0] for row in rows} == {"0", "3"}
