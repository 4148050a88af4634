"""The page of a report: what stands on it, that nothing can break out of it, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.image import imread

from rnn_lightning.calibration import calibration
from rnn_lightning.cli import answers, main, pictures, predictions
from tests.cli.helpers import files, one_mistake, only_run
from tests.conftest import SMALL, Command, _train

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
EVIL = '<script>alert("1")</script> & <img src=http://x.test/y.png onerror="a()"> </p></body> {{ 7 * 7 }}'


class Page(HTMLParser):
    """The tables of a page by their ids, its text, and all that it refers to."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._rows: list[list[str]] | None = None
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag == "table":
            self._rows = self.tables.setdefault(str(dict(attrs)["id"]), [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] = f"{self._rows[-1][-1]} {data.strip()}".strip()
        if self.tags and self.tags[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that can be read, white space as a browser shows it."""
        return " ".join("".join(self.words).split())


def _page(folder: Path) -> Page:
    content = (folder / "report.html").read_text("utf-8")
    page = Page(content)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"url\(|@import|<[^>]+\son\w+=", content)
    return page


@pytest.fixture(scope="session")
def _two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for cell in ("lstm", "rnn"):
        _train(folder, "--config", f"{cell}.yaml", *SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for run in Path("runs").glob("*/*"):
            assert main(["test", "--run", str(run)]) == 0
    return folder / "runs"


@pytest.fixture
def two_runs(_two_runs: Path, workplace: Path) -> list[Path]:
    """A tested run of an LSTM and one of an RNN, in the runs/ of this test."""
    shutil.copytree(_two_runs, "runs", dirs_exist_ok=True)
    return sorted(Path("runs").glob("*/*"), key=lambda run: run.parent.name)


def _scores(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "test" / "metrics.json").read_text("utf-8"))
    return content


def test_a_page_has_the_scores_settings_and_commands_of_its_runs(command: Command, two_runs: list[Path]) -> None:
    result = command("report", *two_runs)
    assert result.code == 0
    drawn = ["learning.png", "comparison.png", "confusion.png", "calibration.png", "report.html"]
    assert result.out.splitlines()[-5:] == [f"report/{name}" for name in drawn]
    assert "no test scores" not in result.err
    page = _page(Path("report"))
    assert len(page.links) == 4
    assert page.tables["differences"] == [["option", "lstm", "rnn"], ["model.cell", "lstm", "rnn"]]
    head, lstm, rnn = page.tables["scores"]
    assert head == ["run", "test_accuracy", "test_loss", "test_auroc", "test_f1", "sequences", "parameters"]
    for row, run in ((lstm, two_runs[0]), (rnn, two_runs[1])):
        scores = _scores(run)
        for name, cell in zip(head[1:5], row[1:5], strict=True):
            low, high = scores["intervals"][name]
            assert cell == f"{scores[name]:.4f} [{low:.4f}, {high:.4f}]"
        assert row[5:] == ["90", f"{scores['parameters']:,}"]
    assert [row[-1] for row in page.tables["runs"][1:]] == list(map(str, two_runs))
    settings = dict(page.tables["settings"])
    assert settings["data.num_test"] == "90"
    assert settings["optimizer"] == "AdamW"
    assert "model.cell" not in settings
    for line in (
        *(f"rnn-lightning fit --config {run / 'config.yaml'}" for run in two_runs),
        *(f"rnn-lightning test --run {run}" for run in two_runs),
        f"rnn-lightning report {two_runs[0]} {two_runs[1]}",
    ):
        assert line in page.text


def test_what_is_printed_of_two_runs_stands_on_the_page(command: Command, two_runs: list[Path]) -> None:
    lines = command("report", *two_runs).out.splitlines()[:2]
    rows = _page(Path("report")).tables["pairs"][1:]
    for line, row, measure in zip(lines, rows, ("test_accuracy", "test_loss"), strict=True):
        best, other = row[:2]
        assert {best, other} == {"lstm", "rnn"}
        assert row[2] == measure
        assert line.startswith(f"{best} and {other}: {measure} ")
        assert f"difference {row[3]}, {row[4]}: these two runs " in line
        assert line.endswith("do not differ beyond chance") == (row[5] == "not beyond chance")


def test_the_commands_of_a_page_make_the_run_again(command: Command, two_runs: list[Path]) -> None:
    assert command("fit", "--config", two_runs[0] / "config.yaml").code == 0
    again = max(two_runs[0].parent.iterdir(), key=lambda run: run.stat().st_mtime)
    assert again != two_runs[0]
    assert (again / "metrics.csv").read_text("utf-8") == (two_runs[0] / "metrics.csv").read_text("utf-8")


def test_a_single_run_has_its_page_in_its_folder(command: Command, feature_run: Path) -> None:
    assert command("test").code == 0
    result = command("report")
    assert result.code == 0
    page = _page(feature_run)
    assert not {"differences", "pairs"} & page.tables.keys()
    arrays = predictions.read(feature_run)
    assert arrays is not None
    error = calibration(arrays["probabilities"], arrays["label"] == arrays["target"]).error
    assert f"in 10 bins of equal width between 1 / classes and 1: lstm {error:.3f}." in page.text
    assert "comparison.png" not in files(feature_run)


def test_a_review_that_holds_html_is_shown_as_text(command: Command, review_run: Path) -> None:
    assert command("test").code == 0
    _put_text(review_run, EVIL)
    assert command("report").code == 0
    page = _page(review_run)
    assert EVIL in page.text


def _put_text(run: Path, text: str) -> None:
    """Makes this the text of every sequence that the run was wrong of, and one of its settings too."""
    path = run / predictions.FILE
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert any("text" in line for line in lines)
    lines = [{**line, "text": text} if "text" in line else line for line in lines]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    config["data"]["init_args"]["path"] = text
    (run / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")


def test_texts_that_were_kept_are_shown_the_surest_first(command: Command, review_run: Path) -> None:
    assert command("test").code == 0
    arrays = predictions.read(review_run)
    assert arrays is not None
    assert command("report").code == 0
    shown = re.findall(r"sequence (\d+) · (\w+), answered (\w+) with probability ([\d.]+)", _page(review_run).text)
    wrong = np.flatnonzero(arrays["label"] != arrays["target"])
    assert sorted(int(index) for index, *_ in shown) == wrong.tolist()
    sure = [float(probability) for *_, probability in shown]
    assert sure == sorted(sure, reverse=True)
    for index, target, label, _ in shown:
        assert (arrays["target"][int(index)], arrays["label"][int(index)]) == (target, label)


def test_a_long_text_is_cut(command: Command, review_run: Path) -> None:
    assert command("test").code == 0
    _put_text(review_run, "word " * 1000)
    assert command("report").code == 0
    assert "word …" in _page(review_run).text or "word…" in _page(review_run).text
    assert _page(review_run).text.count("word") < 10 * 300


@pytest.mark.parametrize(
    ("options", "drawn", "chance"),
    [
        (("--config", "adding.yaml", *SMALL[1:4], "--data.num_steps=8"), ["scatter.png"], "0.1667"),
        (("--config", "parity.yaml", *SMALL[1:4], "--data.max_steps=4", "--data.test_steps=9"), [], "0.5000"),
        (("--config", "next_word.yaml", "--trainer.check_val_every_n_epoch=1"), [], None),
    ],
    ids=["a regression", "a tagger", "a language model"],
)
def test_each_kind_of_task_has_a_page(
    command: Command, options: tuple[str, ...], drawn: list[str], chance: str | None
) -> None:
    fitted = command("fit", *options, "--model.hidden_size=4", "--trainer.max_epochs=1")
    assert fitted.code == 0, fitted.err
    assert command("test").code == 0
    result = command("report")
    assert result.code == 0
    run = only_run()
    assert [Path(line).name for line in result.out.splitlines()] == ["learning.png", *drawn, "report.html"]
    rows = _page(run).tables["scores"]
    assert f"{_scores(run)['test_loss']:.4f}" in rows[1][rows[0].index("test_loss")]
    assert (rows[-1][0] == "chance level") == (chance is not None)
    assert chance is None or chance in rows[-1]


def test_runs_of_other_test_sequences_are_told_apart(command: Command, two_runs: list[Path]) -> None:
    assert command("test", "--run", two_runs[1], "--data.num_test=80").code == 0
    result = command("report", *two_runs)
    line = "rnn and lstm were tested on other sequences: they cannot be compared one by one"
    assert result.out.splitlines()[0] == line
    page = _page(Path("report"))
    assert f"{line}." in page.text
    assert "pairs" not in page.tables


def test_what_a_run_has_not_is_told_with_the_command_for_it(command: Command, two_runs: list[Path]) -> None:
    tested, untested = two_runs
    shutil.rmtree(untested / "test")
    result = command("report", *two_runs)
    assert f"{untested} has no test scores: rnn-lightning test --run {untested}" in result.err.splitlines()
    assert len(_page(Path("report")).tables["scores"]) == 2
    (tested / predictions.FILE).unlink()
    result = command("report", tested)
    assert (
        f"{tested} has not kept what came out for each test sequence: rnn-lightning test --run {tested}"
        in result.err.splitlines()
    )
    assert "scores" in _page(tested).tables
    shutil.rmtree(tested / "test")
    command("report", tested)
    assert "scores" not in _page(tested).tables


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"test_loss": "low"}', b'{"test_loss": 1.0, "intervals": {"test_loss": [1]}}', b"\xff"],
)
def test_damaged_scores_are_told(command: Command, feature_run: Path, content: bytes) -> None:
    (feature_run / "test").mkdir()
    (feature_run / "test" / "metrics.json").write_bytes(content)
    one_mistake(command("report"), f"{feature_run / 'test' / 'metrics.json'} is damaged: run rnn-lightning test --run")
    assert "report.html" not in files(feature_run)


def _classes(count: int) -> predictions.Arrays:
    random = np.random.default_rng(0)
    target, label = (np.array([str(number) for number in random.integers(count, size=900)]) for _ in range(2))
    return {"target": np.where(random.random(900) < 0.7, label, target), "label": label}


def test_a_confusion_matrix_counts_each_pair_of_classes() -> None:
    arrays = _classes(12)
    names = answers.classes(arrays)
    assert names == [str(number) for number in range(12)]  # not 0, 1, 10, 11, 2
    counts = answers.table(arrays, names)
    for true, answered in ((3, 3), (10, 2), (2, 10)):
        pairs = (arrays["target"] == str(true)) & (arrays["label"] == str(answered))
        assert counts[true, answered] == pairs.sum()
    figure = answers.confusion({"lstm": arrays})
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == [f"{count:,}" for count in counts.flatten()]
    assert answers.confusion({"lstm": _classes(21)}) is None


def test_names_in_any_script_and_with_dollars_are_drawn_as_they_are() -> None:
    names = np.array(["$5", "$x^2$", "负面", "正面"])
    arrays = {"target": np.repeat(names, 5), "label": np.tile(names, 5)}
    figure = answers.confusion({"lstm, vectors $a$.txt": arrays})
    assert figure is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.png(figure).startswith(b"\x89PNG")
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert [text.replace(r"\$", "$") for text in shown] == sorted(names.tolist())


def _rendered(page: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    alone = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    screen = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    words = [str(CHROMIUM), *alone, *screen, f"--user-data-dir={tmp_path / 'browser'}", *options, page.as_uri()]
    return subprocess.run(words, check=True, capture_output=True, timeout=300)


@needs_browser
def test_a_browser_shows_the_numbers(command: Command, two_runs: list[Path], tmp_path: Path) -> None:
    assert command("report", *two_runs).code == 0
    page = Path("report", "report.html").resolve()
    shown = Page(_rendered(page, tmp_path, "--dump-dom").stdout.decode())
    assert shown.tables == _page(Path("report")).tables
    assert f"{_scores(two_runs[0])['test_accuracy']:.4f}" in shown.tables["scores"][1][1]
    picture = tmp_path / "page.png"
    _rendered(page, tmp_path, "--window-size=900,2400", f"--screenshot={picture}")
    pixels = imread(picture)
    assert pixels.shape[:2] == (2400, 900)
    # Text above, pictures below: no band of the page is blank, and there are the colours of the runs.
    for band in np.split(pixels[:2000], 5):
        assert band.std() > 0.02
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(255 * pixels[:, :, :3] - colour) < 0.5).all(2).any()
