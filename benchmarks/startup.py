"""How long the command takes to its first training step on synthetic sequences, beside the mere import of Lightning.

    python benchmarks/startup.py

The time ends when the step begins: data, model and run folder are there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import Figure, filled, finish, in_turn, medians, parser, ratio

IMPORT, FIT, HELP = "import lightning.pytorch", "rnn-lightning fit", "rnn-lightning --help"


def main() -> None:
    """Measures, and prints a table."""
    options = filled(parser(__doc__).parse_args(), repeats=5)
    times = in_turn({IMPORT: _import, FIT: _fit, HELP: _help}, options.repeats)
    figures = [
        Figure(f"{FIT} to its first step takes longer than {IMPORT} by", ratio(times, FIT, IMPORT), at_most=1.3),
        *(Figure(name, took, unit="s") for name, took in medians(times).items()),
    ]
    finish(options, figures)


def _import() -> float:
    return _seconds([sys.executable, "-c", "import lightning.pytorch"])


def _help() -> float:
    return _seconds([sys.executable, "-m", "rnn_lightning", "--help"])


def _fit() -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "first"
        callback = f'{{"class_path": "clock.FirstStep", "init_args": {{"file": "{file}"}}}}'
        words = ["fit", "--allow-imports", "--trainer.max_epochs=1", f"--trainer.callbacks={callback}"]
        start = time.time()
        _seconds([sys.executable, "-m", "rnn_lightning", *words], folder)
        return float(file.read_text("utf-8")) - start


def _seconds(words: list[str], folder: str | None = None) -> float:
    places = (str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    start = time.perf_counter()
    subprocess.run(words, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
