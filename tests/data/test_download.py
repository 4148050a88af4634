"""The download of the reviews, from a server on this machine that behaves as servers do."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rnn_lightning.data import download, reviews
from rnn_lightning.data.reviews import ARCHIVE, locate
from tests.cli.helpers import one_mistake
from tests.conftest import Command

FAILURES = {
    "another file": "what came is not the original file: it has another SHA-256 checksum",
    "cut": "the connection was cut",
    "silent": "the server sent nothing for 0.1 seconds",
    "stalling": "the server sent nothing for 0.1 seconds",
    "missing": "404 Client Error: Not Found",
    "failing": "500 Server Error: Internal Server Error",
}
"""How the server fails, and what is said of it."""


class _Server(ThreadingHTTPServer):
    """Gives one file, in the way that `how` says; counts the requests, and can hold an answer back until it is told."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.how = "whole"
        self.requests: list[str] = []
        self.asked, self.released = threading.Event(), threading.Event()

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server_port}/{ARCHIVE}"

    def handle_error(self, *args: object) -> None:
        """Nothing: a client that has gone is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        how, content = self.server.how, self.server.content
        self.server.requests.append(self.path)
        self.server.asked.set()
        if how == "silent":
            self.server.released.wait()
        if how in ("missing", "failing"):
            self.send_error(404 if how == "missing" else 500)
            return
        if how == "another file":
            content = content[::-1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        if how in ("stalling", "held back"):
            self.server.released.wait()
        if self.server.how != "cut":
            self.wfile.write(content[len(content) // 2 :])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(archive: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    """A server in place of the original one, and the small archive in place of the original."""
    with _Server(archive.read_bytes()) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(reviews, "URL", server.url())
        monkeypatch.setattr(reviews, "SHA256", hashlib.sha256(server.content).hexdigest())
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def data_folder(server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNN_LIGHTNING_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def _files(folder: Path) -> set[str]:
    """What lies there, the lock apart."""
    return {file.name for file in folder.rglob("*")} - {f"{ARCHIVE}.lock"}


def test_the_archive_is_downloaded_once(server: _Server, data_folder: Path) -> None:
    for _ in range(2):
        assert locate() == data_folder / ARCHIVE
    assert (data_folder / ARCHIVE).read_bytes() == server.content
    assert (data_folder / ARCHIVE).stat().st_mode & 0o777 == 0o644
    assert len(server.requests) == 1
    assert _files(data_folder) == {ARCHIVE}


@pytest.mark.parametrize("how", FAILURES)
def test_a_download_that_fails_leaves_nothing_and_the_next_one_can_succeed(
    server: _Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    server.how = how
    with monkeypatch.context() as patch:
        if how in ("silent", "stalling"):
            patch.setattr(download, "PATIENCE", 0.1)
        with pytest.raises(ValueError, match="cannot download") as caught:
            locate()
    assert str(caught.value).splitlines() == [
        f"cannot download {server.url()} to {data_folder}: {FAILURES[how]}",
        f"Get that file and put it at {data_folder / ARCHIVE}, or say where it is with --data.path.",
    ]
    assert _files(data_folder) == set()
    server.how = "whole"
    assert locate().read_bytes() == server.content


def test_a_server_has_half_a_minute(server: _Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    limits = []
    get = requests.get

    def watched(url: str, **options: Any) -> requests.Response:
        limits.append(options["timeout"])
        return get(url, **options)

    monkeypatch.setattr(requests, "get", watched)
    locate()
    assert limits == [30]


@pytest.mark.parametrize(("scheme", "said"), [("http", "no connection"), ("https", "no secure connection")])
def test_a_server_that_cannot_be_reached(
    server: _Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, said: str
) -> None:
    monkeypatch.setattr(reviews, "URL", server.url(scheme))
    if scheme == "http":
        server.shutdown()
        server.server_close()
    with pytest.raises(ValueError, match=f"to {data_folder}: {said}\n"):
        locate()
    assert _files(data_folder) == set()


@pytest.mark.parametrize("place", ["file", "file/data"])
def test_a_data_folder_that_cannot_be_made(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RNN_LIGHTNING_DATA", os.fspath(tmp_path / place))
    with pytest.raises(ValueError, match=rf"to {tmp_path / place}: (Not a directory|File exists)\n.*--data\.path"):
        locate()
    assert server.requests == []


@pytest.mark.parametrize("how", ["another file", "cut", "missing"])
def test_the_command_tells_a_failed_download_and_leaves_nothing(
    command: Command, server: _Server, data_folder: Path, how: str
) -> None:
    server.how = how
    said = one_mistake(command("fit", "--config", "imdb.yaml"), f"rnn-lightning: cannot download {server.url()}")
    assert FAILURES[how] in said
    assert said.splitlines()[0] == f"Downloading {server.url()} to {data_folder}"
    assert list(Path().iterdir()) == []
    assert _files(data_folder) == set()


def test_a_progress_bar_is_gone_before_an_error_is_told(
    server: _Server, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    server.how = "cut"
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(ValueError, match="the connection was cut"):
        locate()
    shown = screen.getvalue()
    assert "B/s" in shown
    assert shown.endswith("\r")
    assert shown.rstrip("\r").rpartition("\r")[2].strip() == ""


PROGRAM = """
import sys
from rnn_lightning.data import reviews

reviews.URL, reviews.SHA256 = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
print("begins", flush=True)
try:
    print(reviews.locate())
except ValueError as error:
    sys.exit(str(error))
"""


class _Process(subprocess.Popen[str]):
    """Another process that wants the reviews as soon as it is told."""

    def __init__(self, server: _Server) -> None:
        words = [sys.executable, "-c", PROGRAM, server.url(), reviews.SHA256]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        super().__init__(words, text=True, **pipes)  # type: ignore[call-overload]  # three pipes
        self.hear("ready")

    def hear(self, word: str) -> None:
        assert self.stdout is not None
        assert self.stdout.readline() == f"{word}\n"

    def begin(self) -> None:
        assert self.stdin is not None
        self.stdin.write("go\n")
        self.stdin.flush()
        self.hear("begins")


@pytest.fixture
def two(server: _Server, data_folder: Path) -> Iterator[tuple[_Process, _Process]]:
    """Two processes, the second of which begins while the first one's download is on its way."""
    with _Process(server) as first, _Process(server) as second:
        server.how = "held back"
        first.begin()
        server.asked.wait()
        second.begin()
        yield first, second
        for process in (first, second):
            process.kill()


def test_two_processes_at_once_download_once(
    server: _Server, data_folder: Path, two: tuple[_Process, _Process]
) -> None:
    server.released.set()
    for process in two:
        assert process.communicate() == (f"{data_folder / ARCHIVE}\n", "")
    assert len(server.requests) == 1
    assert (data_folder / ARCHIVE).read_bytes() == server.content
    assert _files(data_folder) == {ARCHIVE}


def test_a_process_takes_over_from_one_that_was_killed(
    server: _Server, data_folder: Path, two: tuple[_Process, _Process]
) -> None:
    first, second = two
    server.how = "whole"  # for requests from now on
    assert f"{ARCHIVE}.part" in _files(data_folder)
    first.kill()
    assert second.communicate() == (f"{data_folder / ARCHIVE}\n", "")
    assert len(server.requests) == 2
    assert _files(data_folder) == {ARCHIVE}


def test_each_of_two_processes_tells_its_own_failure(
    server: _Server, data_folder: Path, two: tuple[_Process, _Process]
) -> None:
    server.how = "cut"
    server.released.set()
    for process in two:
        out, err = process.communicate()
        assert (out, process.returncode) == ("", 1)
        assert err.startswith(f"cannot download {server.url()} to {data_folder}: the connection was cut\n")
    assert len(server.requests) == 2
    assert _files(data_folder) == set()


def test_what_a_killed_process_left_is_cleared_away(server: _Server, data_folder: Path) -> None:
    (data_folder / f"{ARCHIVE}.part").mkdir(parents=True)
    (data_folder / f"{ARCHIVE}.part" / "tmp1234").write_bytes(b"half")
    assert locate().read_bytes() == server.content
    assert _files(data_folder) == {ARCHIVE}
