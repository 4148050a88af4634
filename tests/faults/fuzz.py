"""`python -m tests.faults.fuzz COUNT FOLDER RUN` reads so many changed files of every kind that the product reads.

A reader may succeed, or refuse in the way that the command tells in a line. Each part of the inputs is read in a forked
process of its own, with a limit on its memory, ten seconds for each input, and a guard that ends it where code is run,
a connection is made or something is written outside of its folder. An input is decided by its kind and its number.
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.faults import mutations
from tests.faults.mutations import Mutation, bytewise

SECONDS, MEMORY, TOGETHER = 10, 2 << 30, 250
"""For each input; beyond what there is before; inputs for one process."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_SAYS_PATH = "import sys, json; print(json.dumps(sys.path))"
_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "pty.spawn",
)
_CHANGES = {"os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.mkdir": 1, "os.symlink": 2, "os.link": 2, "os.chmod": 1}


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        files: real ones, by what they are called.
        read: reads one, whatever else the product does with it.
        mutations: what changes it.
        share: of the inputs.
        same: what `read` gives of an unchanged file, where a change by the byte must not give anything else.
    """

    files: Mapping[str, bytes]
    read: Callable[[Path], Any]
    mutations: tuple[Mutation, ...]
    share: int
    same: Mapping[str, Any] = {}


def fuzz(kinds: Mapping[str, Kind], count: int, folder: Path) -> dict[str, Any]:
    """Reads so many inputs of all kinds together; what came of them, by kind, and the failures, one a line."""
    shares = sum(kind.share for kind in kinds.values())
    found: dict[str, Any] = {"failures": [], "kinds": {}}
    for name, kind in kinds.items():
        wanted = math.ceil(count * kind.share / shares)
        outcomes: Counter[str] = Counter()
        slowest, start, first = 0.0, time.monotonic(), 0
        while first < wanted:
            last = min(wanted, first + TOGETHER)
            reached, said = _in_child(name, kind, range(first, last), folder)
            for line in said:
                outcome, seconds, text = json.loads(line)
                outcomes[outcome] += 1
                slowest = max(slowest, seconds)
                if outcome not in ("read", "refused"):
                    found["failures"].append(f"{name} {text}")
            first = reached
        taken = time.monotonic() - start
        found["kinds"][name] = {**outcomes, "slowest": round(slowest, 2), "seconds": round(taken)}
        print(name, found["kinds"][name], file=sys.stderr, flush=True)
    return found


def _in_child(name: str, kind: Kind, numbers: range, folder: Path) -> tuple[int, list[str]]:
    """The first number that was not reached, and a line for each that was."""
    scratch, report = folder / "scratch", folder / "report"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    report.write_text("", "utf-8")
    child = os.fork()
    if child == 0:
        try:
            _child(name, kind, numbers, scratch, report)
        finally:
            os._exit(98)
    _, status = os.waitpid(child, 0)
    lines = report.read_text("utf-8").splitlines()
    code = os.waitstatus_to_exitcode(status)
    if code != 0 and len(lines) < len(numbers):
        number = numbers[len(lines)]
        lines.append(json.dumps(["died", 0.0, f"{number}: the process ended with {code}"]))
    elif code != 0:
        lines[-1] = json.dumps(["died", 0.0, f"{numbers[-1]}: the process ended with {code} afterwards"])
    return numbers[0] + len(lines), lines


def _child(name: str, kind: Kind, numbers: range, scratch: Path, report: Path) -> None:
    os.chdir(scratch)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with report.open("a", encoding="utf-8") as out:
        sys.addaudithook(_guard(scratch.resolve(), out))

        def too_long(*_: Any) -> None:
            out.write(json.dumps(["hung", SECONDS, f"{number}: {''.join(traceback.format_stack()[-3:])}"]) + "\n")
            out.flush()
            os._exit(97)

        signal.signal(signal.SIGALRM, too_long)
        for number in numbers:
            path, expected = _made(name, kind, number, scratch)
            signal.alarm(SECONDS)
            start = time.monotonic()
            outcome, text = _outcome(kind, path, expected)
            signal.alarm(0)
            out.write(json.dumps([outcome, time.monotonic() - start, f"{number}: {text}"]) + "\n")
            out.flush()
            for entry in scratch.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    os._exit(0)


def _made(name: str, kind: Kind, number: int, scratch: Path) -> tuple[Path, Any]:
    """The changed file, and what has to be in it if it can be read; None: anything."""
    random = Random(f"{name} {number}")
    file, other = (random.choice(sorted(kind.files)) for _ in range(2))
    mutation = random.choice(kind.mutations)
    path = scratch / file
    if file.endswith("/"):  # a folder of the cache
        files = json.loads(kind.files[file])
        content = {one: bytes.fromhex(text) for one, text in files.items()}
        path.mkdir()
        for one, changed in mutations.checksummed(content, random.choice(sorted(content)), random).items():
            (path / one).write_bytes(changed)
        return path, None
    try:
        changed = mutation(kind.files[file], random, kind.files[other])
    except Exception:  # what is to be changed inside cannot be written again: nested too deeply, or no such number
        changed, mutation = bytewise(kind.files[file], random, kind.files[other]), bytewise
    path.write_bytes(changed)
    return path, kind.same.get(file) if mutation is bytewise else None


def _outcome(kind: Kind, path: Path, expected: Any) -> tuple[str, str]:
    from rnn_lightning.cli.errors import mistake_in

    try:
        read = kind.read(path)
    except Exception as error:
        chain: list[BaseException] = [error]
        while (following := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(following)
        if any(isinstance(one, MemoryError) or "allocate memory" in str(one) for one in chain):
            return "took memory", f"{type(error).__name__}: {str(error)[:200]}"
        if mistake_in(error) is not None:
            return "refused", ""
        frames = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        return "crashed", f"{type(error).__name__}: {str(error)[:200]} ({' '.join(frames[-4:])})"
    if Path("was_run").exists() or "armed_module" in sys.modules:
        return "ran code", ""
    if expected is not None and read != expected:
        return "read wrongly", ""
    return "read", ""


def _guard(scratch: Path, out: Any) -> Callable[[str, tuple[Any, ...]], None]:
    """Ends the process where it does what a reader of files has no reason to."""

    def is_inside(path: Any) -> bool:
        place = Path(os.fsdecode(path)).absolute() if not isinstance(path, int) else scratch
        return place.is_relative_to(scratch) or str(place) == os.devnull

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # Where typeshed lies, jsonargparse learns from a Python that says its sys.path.
        asks_for_path = event == "subprocess.Popen" and arguments[1][1:] == ["-c", _SAYS_PATH]
        bad = (event.startswith(_FORBIDDEN) and not asks_for_path) or event in (
            "socket.connect",
            "socket.bind",
            "socket.getaddrinfo",
        )
        if event == "open" and arguments[0] is not None and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            bad = not is_inside(arguments[0])
        elif event in _CHANGES:
            bad = not all(is_inside(path) for path in arguments[: _CHANGES[event]])
        if bad:
            out.write(json.dumps(["ran code", 0.0, f"{event} {str(arguments)[:200]}"]) + "\n")
            out.flush()
            os._exit(99)

    return hook


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tests.faults.kinds import kinds

    place = Path(sys.argv[2]).resolve()
    wanted = sys.argv[4:]
    every = kinds(place / "seeds", Path(sys.argv[3]))
    some = {name: kind for name, kind in every.items() if not wanted or name in wanted}
    print(json.dumps(fuzz(some, int(sys.argv[1]), place), indent=2))
