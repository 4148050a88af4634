"""Files that were made to do damage."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.cli.helpers import one_mistake, recorded
from tests.conftest import SMALL_REVIEWS, Command
from tests.faults import fault

Seen = Callable[[str], None]
REVIEW = "aclImdb/train/pos/7_9.txt"


class _Armed:
    """Unpickled, it makes a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("was_run",)


def _changed(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)


@fault(
    "somebody else's config names a class of theirs",
    "`class_path` of a callback names a module that leaves a mark when it is imported",
    "`theirs.yaml, line 3: trainer.callbacks: 'their_module.Thing' is not imported, which would run its code`; "
    "`--allow-imports` on the command line is the one way around it",
    "nothing: it is refused before it is imported",
)
def test_a_config_of_somebody_else(command: Command, seen: Seen, monkeypatch: Any) -> None:
    Path("their_module.py").write_text("open('was_run', 'w')\n", "utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("theirs.yaml").write_text("trainer:\n  callbacks:\n  - class_path: their_module.Thing\n", "utf-8")
    seen(one_mistake(command("fit", "--config=theirs.yaml")))
    assert not Path("was_run").exists()
    assert "their_module" not in sys.modules


@fault(
    "somebody else's run, whose record names a program",
    "`data` in its config.yaml is `os.system` with a command",
    "`config.yaml, line ...: data: 'os.system' is not imported, which would run its code`",
    "nothing: no command is run",
)
def test_a_run_of_somebody_else(command: Command, seen: Seen, feature_run: Path) -> None:
    data = {"class_path": "os.system", "init_args": {"command": "touch was_run"}}
    (feature_run / "config.yaml").write_text(yaml.safe_dump({**recorded(feature_run), "data": data}), "utf-8")
    seen(one_mistake(command("test")))
    assert not Path("was_run").exists()


@fault(
    "a checkpoint with a program in it",
    "a pickle that calls `os.mkdir`, among the states of the callbacks",
    "`best.ckpt is not a checkpoint, or is damaged`",
    "nothing: it is not run",
)
def test_a_checkpoint_with_a_program_in_it(command: Command, seen: Seen, feature_run: Path) -> None:
    _changed(feature_run, lambda checkpoint: checkpoint.update(callbacks=_Armed()))
    seen(one_mistake(command("predict")))
    assert not Path("was_run").exists()


@fault(
    "a checkpoint that asks for more memory than there is",
    "`hidden_size` among its hyper-parameters is a million",
    "`its hyper-parameters ask for weights of 16,000,...,004 bytes, and it has 1,... of them`",
    "nothing: the memory is never taken",
)
def test_a_checkpoint_that_asks_for_memory(command: Command, seen: Seen, feature_run: Path) -> None:
    _changed(feature_run, lambda checkpoint: checkpoint["hyper_parameters"].update(hidden_size=10**6))
    seen(one_mistake(command("test")))


@fault(
    "a checkpoint that grows when it is unpacked",
    "its parts are compressed, with 64 MB of zeros among them",
    "`best.ckpt is not a checkpoint, or is damaged`",
    "nothing: it is not unpacked",
)
def test_a_checkpoint_that_grows(command: Command, seen: Seen, feature_run: Path) -> None:
    path = feature_run / "checkpoints" / "best.ckpt"
    with (
        zipfile.ZipFile(io.BytesIO(path.read_bytes())) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
    ):
        for name in source.namelist():
            file.writestr(name, source.read(name))
        file.writestr("archive/data/999", bytes(1 << 26))
    seen(one_mistake(command("test")))


@fault(
    "a checkpoint by its address",
    "`--ckpt_path https://...`",
    "`is an address: a checkpoint is a file on this machine, fetched by you`",
    "nothing: no connection is made",
)
def test_an_address_for_a_checkpoint(command: Command, seen: Seen) -> None:
    seen(one_mistake(command("test", "--ckpt_path", "https://example.org/best.ckpt")))


@fault(
    "an archive of reviews that grows when it is unpacked",
    "its first review says that it has a gigabyte, in an archive of some hundred bytes",
    "`reviews.tar.gz is not the original: aclImdb/train/pos/7_9.txt has 1,073,741,824 bytes, more than 1,048,576`",
    "nothing: it is not unpacked",
)
def test_an_archive_that_grows(command: Command, seen: Seen) -> None:
    member = tarfile.TarInfo(REVIEW)
    member.size = 1 << 30
    with gzip.open("reviews.tar.gz", "wb") as file:
        file.write(member.tobuf() + bytes(1 << 20))
    seen(one_mistake(command("fit", *SMALL_REVIEWS, "--data.path=reviews.tar.gz")))
    assert not Path("runs").exists()


@fault(
    "a table whose row has no end",
    "a .csv.gz of 16 kB that becomes one row of 16 million characters",
    "`own.csv.gz, line 2: this row has more than 16,777,216 characters`",
    "nothing: reading ends there",
)
def test_a_row_without_end(command: Command, seen: Seen) -> None:
    with gzip.open("own.csv.gz", "wb") as file:
        file.write(b"text,label\n" + b"a" * (1 << 24) + b"a")
    seen(one_mistake(command("fit", "--data=TextFiles", "--data.path=own.csv.gz")))


@fault(
    "a pipe in place of a file",
    "`mkfifo own.csv`, to which nobody writes",
    "`own.csv is a pipe or a device: a file is wanted, which can be read more than once`",
    "nothing: nobody waits for it",
)
def test_a_pipe_in_place_of_a_file(command: Command, seen: Seen) -> None:
    os.mkfifo("own.csv")
    seen(one_mistake(command("fit", "--data=TextFiles", "--data.path=own.csv")))


@fault(
    "a cache folder that others can write to",
    "`chmod 777` of it, as in a shared `XDG_CACHE_HOME`",
    "`others can write to the cache folder ..., and what lies in it is believed: chmod go-w`",
    "nothing: what others may have put there is not read",
)
def test_a_cache_folder_that_others_can_write_to(command: Command, seen: Seen, archive: Path) -> None:
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "rnn-lightning"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    seen(one_mistake(command("fit", *SMALL_REVIEWS, f"--data.path={archive}")))
