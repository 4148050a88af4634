"""`rnn-lightning compare`: train every row on every column, with several seeds, and draw up a table."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnn_lightning.cli import configs, plugins, runs
from rnn_lightning.cli.app import FitCommand
from rnn_lightning.cli.comparison import Result, choose_metrics, printed, read_result, write_result, write_table
from rnn_lightning.cli.errors import UserError, mistake_in
from rnn_lightning.cli.launch import launch
from rnn_lightning.cli.pictures import need_matplotlib
from rnn_lightning.cli.signals import Stopped
from rnn_lightning.cli.words import taken

_LISTS = {"--rows": "what is compared", "--columns": "what it is compared on"}
_TRAIN_AND_SCORE = """
import sys
from rnn_lightning.cli import main
plugins = [word for word in sys.argv[1:] if word.startswith(("--plugins=", "--allow-imports"))]
sys.exit(main(["fit", *sys.argv[1:]]) or main(["validate", *plugins]) or main(["test", *plugins]))
"""


@dataclass(frozen=True)
class Entry:
    """A row or a column: its name, the configs and the further options that it stands for."""

    name: str
    configs: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The name, as a folder is called."""
        return re.sub(r"[^\w.-]+", "_", self.name).strip("_") or "_"


@dataclass(frozen=True)
class Training:
    """One training of a row on a column."""

    row: Entry
    column: Entry
    common: Entry
    seed: int

    @property
    def words(self) -> list[str]:
        """The options of fit: configs first, so that options hold against them; the row's last, for it is compared."""
        entries = (self.common, self.column, self.row)
        named = [word for entry in entries for name in entry.configs for word in ("--config", name)]
        return [*named, *(word for entry in entries for word in entry.options), f"--seed_everything={self.seed}"]

    def folder(self, output: Path) -> Path:
        """Where it writes."""
        return output / self.column.folder / self.row.folder / f"seed-{self.seed}"

    def __str__(self) -> str:
        return f"{self.row.name} on {self.column.name}, seed {self.seed}"


def compare(options: list[str]) -> int:
    """Trains what has not been trained yet, and prints and writes the table.

    Args:
        options: command-line words.

    Returns:
        The exit code: 1 where a training failed.
    """
    words = taken("compare", options)
    if words.names:
        raise UserError(f"'{words.names[0]}' stands alone: is it one of --rows or of --columns?")
    common = Entry("", *_configs_and_options(configs.pairs(words.left)))
    output, metric = Path(words.one("--output") or "comparison"), words.one("--metric")
    seeds, jobs = words.whole_number("--seeds", 3), words.whole_number("--jobs", 1)
    rows, columns = (_entries(flag, words.given.get(flag, [])) for flag in _LISTS)
    if launch() is not None:
        raise UserError("compare starts its trainings itself, --jobs at a time: start it without torchrun and srun")
    need_matplotlib("compare draws its table")
    trainings = [
        Training(row, column, common, seed) for seed in range(1, seeds + 1) for column in columns for row in rows
    ]
    for training in trainings[: len(rows) * len(columns)]:
        _check(training)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output} cannot be made: {error.strerror}") from error
    try:
        results, failed = _run_all(trainings, output, jobs)
    except Stopped as stop:
        raise Stopped(stop.number, f"Stopped. The same command goes on with what is missing in {output}/.") from stop
    if results:
        metrics = choose_metrics(results, metric)
        print(printed(results, metrics))
        print(f"Written: {', '.join(map(str, write_table(output, results, metrics)))}")
    for training in failed:
        print(f"rnn-lightning: failed: {training}; see {training.folder(output) / 'log.txt'}", file=sys.stderr)
    return 1 if failed else 0


def _entries(flag: str, texts: list[str]) -> list[Entry]:
    if not texts:
        raise UserError(f"compare wants {flag}: {_LISTS[flag]}, for example {flag} lstm.yaml gru.yaml")
    entries = [_entry(flag, text) for text in texts]
    folders = [entry.folder for entry in entries]
    for entry in entries:
        if folders.count(entry.folder) > 1:
            raise UserError(f"two of {flag} are called '{entry.name}': give them names, as in \"{entry.name} 2: ...\"")
    return entries


def _entry(flag: str, text: str) -> Entry:
    """A row or column from its words: `lstm.yaml`, or `two layers: lstm.yaml --model.num_layers 2`."""
    name, colon, rest = text.partition(": ")
    try:
        words = shlex.split(rest if colon else text)
    except ValueError as error:
        raise UserError(f"{flag} '{text}': {error}") from error
    found, further = _configs_and_options(configs.pairs(words))
    stems = [Path(path).stem for path in found]
    return Entry(name.strip() if colon else " ".join([*stems, *further]), found, further)


def _configs_and_options(pairs: list[tuple[str, str | None]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths of the configs that are named, with or without --config, and all other words."""
    found, further = [], []
    for flag, value in pairs:
        if flag == "--config" or not flag.startswith("-"):
            found.append(str(configs.resolve(str(value) if flag == "--config" else flag).resolve()))
        else:
            further.append(flag if value is None else f"{flag}={value}")
    return tuple(found), tuple(further)


def _check(training: Training) -> None:
    """Finds a wrong option before the first training rather than after hours.

    Raises:
        UserError: fit would refuse these words.
    """
    try:
        FitCommand("fit", ["--config", str(configs.base()), *training.words])
    except Exception as error:
        mistake = mistake_in(error)
        if mistake is None:
            raise
        raise UserError(f"{training.row.name} on {training.column.name}: {mistake}") from error


def _run_all(trainings: list[Training], output: Path, jobs: int) -> tuple[list[Result], list[Training]]:
    """What all trainings measured, as far as they did not fail; those that did."""
    found = {training: read_result(training.folder(output), _origin(training)) for training in trainings}
    missing = [training for training, result in found.items() if result is None]
    if len(missing) < len(trainings):
        print(f"{len(trainings) - len(missing)} of {len(trainings)} trainings stand in {output}/ already")
    with _pool(jobs) as (pool, running):
        waiting: dict[Future[Result | None], Training] = {
            pool.submit(_run, training, output, jobs, running): training for training in missing
        }
        for number, done in enumerate(as_completed(waiting), 1):
            training, result = waiting[done], done.result()
            found[training] = result
            print(f"[{number}/{len(missing)}] {training}: {result or 'failed'}", flush=True)
    return (
        [result for result in found.values() if result is not None],
        [training for training, result in found.items() if result is None],
    )


def _origin(training: Training) -> list[str]:
    """What a result came from: it holds as long as all of this is the same."""
    return [*training.words, *plugins.fingerprints()]


@contextmanager
def _pool(jobs: int) -> Iterator[tuple[ThreadPoolExecutor, set[subprocess.Popen[bytes]]]]:
    """Threads that wait for processes, and the processes that are running: none is left behind."""
    running: set[subprocess.Popen[bytes]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield pool, running
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.kill()
            raise


def _run(training: Training, output: Path, jobs: int, running: set[subprocess.Popen[bytes]]) -> Result | None:
    """Trains and scores in a process of its own; None where that fails."""
    folder = training.folder(output)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    threads = {} if jobs == 1 else {"OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // jobs, 1))}
    environment = {**threads, **os.environ, runs.ROOT_VARIABLE: str(folder)}
    start = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        words = [sys.executable, "-c", _TRAIN_AND_SCORE, *training.words, *plugins.words()]
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running.add(process)
        code = process.wait()
        running.discard(process)
    if code != 0:
        return None
    found: dict[str, Any] = {}
    for part in ("validate", "test"):
        (path,) = folder.glob(f"*/*/{part}/metrics.json")
        found |= json.loads(path.read_text("utf-8"))
    result = Result(
        training.row.name,
        training.column.name,
        training.seed,
        round(time.monotonic() - start, 1),
        found["parameters"],
        {name: value for name, value in found.items() if name.startswith(("val_", "test_"))},
        {f"{part}_{name}": value for name, value in found["chance_level"].items() for part in ("val", "test")},
    )
    write_result(folder, _origin(training), result)
    return result
