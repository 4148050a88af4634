"""What the benchmarks share: ways measured in turn, their ratios, and the machine that they ran on.

What else a machine does disturbs a measurement for seconds or for minutes. So all ways are measured in turn, again and
again, and what counts is the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

Times = dict[str, list[float]]
"""For each way, a number for each round: seconds, say."""


class Figure(NamedTuple):
    """What a benchmark found.

    Attributes:
        what: in a few words.
        value: the number.
        at_least: the floor it is held to.
        at_most: the ceiling it is held to.
        unit: empty for a ratio, which means the same on every machine.
    """

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--repeats", type=int, help="times that each way is measured")
    made.add_argument("--threads", type=int, help="threads of torch")
    made.add_argument("--json", type=lambda name: Path(name).absolute(), help="file for the numbers")
    made.add_argument("--quick", action="store_true", help="less of everything, for a first look and for CI")
    return made


def filled(
    options: argparse.Namespace, *, repeats: int, quick_repeats: int = 3, quick_threads: int = 1
) -> argparse.Namespace:
    """The options with the number of repeats and of threads filled in, and the threads set."""
    import torch

    options.repeats = options.repeats or (quick_repeats if options.quick else repeats)
    # Two threads beside a busy neighbour lose more than a half, and not every way as much.
    options.threads = options.threads or (quick_threads if options.quick else 2)
    torch.set_num_threads(options.threads)
    return options


def in_turn(ways: Mapping[str, Callable[[], float]], repeats: int, warm_up: int = 1) -> Times:
    """Measures each way, one after the other, again and again. The first rounds warm up and do not count."""
    times: Times = {name: [] for name in ways}
    for _ in range(warm_up + repeats):
        for name, way in ways.items():
            times[name].append(way())
    return {name: values[warm_up:] for name, values in times.items()}


def ratio(times: Times, slow: str, fast: str) -> float:
    """How many times as long one way takes as another: the median over the rounds."""
    return statistics.median(s / f for s, f in zip(times[slow], times[fast], strict=True))


def medians(times: Times) -> dict[str, float]:
    """The median of each way."""
    return {name: statistics.median(values) for name, values in times.items()}


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    now = clock()
    start = now()
    work()
    return now() - start


def clock() -> Callable[[], float]:
    """What tells the time: with one thread the processor's, which stands still while others have their turn."""
    import torch

    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


class Apart:
    """An object in a process of its own, for what holds for a whole process: memory, threads, denormals.

    Args:
        make: makes the object there.
        arguments: what it is made from.
        environment: variables that are set before the process starts.
    """

    def __init__(self, make: Callable[..., object], *arguments: object, **environment: str) -> None:
        before = dict(os.environ)
        os.environ.update(environment)
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _make, (make, arguments))
        self._pool.submit(os.getpid)  # the process starts now
        os.environ.clear()
        os.environ.update(before)

    def __call__(self, name: str) -> Any:
        """Calls a method of the object without arguments."""
        return self._pool.submit(_call, name).result()

    def close(self) -> None:
        """Ends the process."""
        self._pool.shutdown()


_object: Any = None


def _make(make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    global _object  # noqa: PLW0603  # a worker has one object, and no other place for it
    _object = make(*arguments)


def _call(name: str) -> Any:
    return getattr(_object, name)()


def peak_memory() -> int:
    """The most bytes of memory that this process had at once; 0 on systems that do not say."""
    # Not resource.ru_maxrss: a process begins with that of the one which started it.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def matrix_multiply(size: int = 1024) -> float:
    """What this machine can do at most: operations a second in a product of matrices.

    By the faster of torch's two libraries: on AMD processors MKL, the usual one, has half the speed of oneDNN.
    """
    import torch
    from torch.nn import functional

    a, b = torch.randn(size, size), torch.randn(size, size)
    ways: list[Callable[[], object]] = [lambda: torch.mm(a, b)]
    if torch.backends.mkldnn.is_available():
        in_its_form = a.to_mkldnn()
        ways.append(lambda: functional.linear(in_its_form, b))
    return 2.0 * size**3 / min(seconds(way) for way in ways * 10)


def machine() -> dict[str, Any]:
    """What this was measured on."""
    import torch

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "matrix multiply, GFLOP/s": round(matrix_multiply() / 1e9),
        "load": round(os.getloadavg()[1], 1),
    }


def finish(options: argparse.Namespace, figures: list[Figure], **more: Any) -> None:
    """Prints the figures, and writes them and more to the file that was asked for."""
    for figure in figures:
        print(f"{figure.what:75} {shown(figure):>12}   {bound(figure)}")
    if options.json:
        content = {
            "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *_without_json(sys.argv[1:])]),
            "machine": machine(),
            "figures": [figure._asdict() for figure in figures],
            **more,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def shown(figure: Figure) -> str:
    """A figure's value, as people write it."""
    value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
    return f"{value} {figure.unit}".strip()


def bound(figure: Figure) -> str:
    """What a figure is held to, in words."""
    if figure.at_least is not None:
        return f"at least {figure.at_least:g}"
    return "" if figure.at_most is None else f"at most {figure.at_most:g}"


def _without_json(words: list[str]) -> list[str]:
    """The command line without --json FILE."""
    skipped = {index + step for index, word in enumerate(words) if word == "--json" for step in (0, 1)}
    return [word for index, word in enumerate(words) if index not in skipped and not word.startswith("--json=")]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
