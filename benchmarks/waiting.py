"""How threads wait for each other: a training step with what the command sets, beside what OpenMP does by itself.

    python benchmarks/waiting.py

They sleep (OMP_WAIT_POLICY=passive), spin for long (the default) or for a short time (GOMP_SPINCOUNT=1000, as the
command sets it); on a machine with nothing else to do, and beside a process that keeps one core busy.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from reviews import reviews, typical
from side_by_side import Apart, Figure, filled, finish, in_turn, medians, parser, ratio
from training import PRODUCT, Way

OURS = "GOMP_SPINCOUNT=1000"
SETTINGS: dict[str, dict[str, str]] = {
    OURS: {"GOMP_SPINCOUNT": "1000"},
    "the default": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
}


def main() -> None:
    """Measures, and prints a table."""
    made = parser(__doc__)
    made.add_argument("--batch_size", type=int, default=64)
    made.add_argument("--max_length", type=int, default=256)
    options = filled(made.parse_args(), repeats=9, quick_threads=2)
    data, where_from = reviews(options.quick, max_length=options.max_length, batch_size=options.batch_size)
    batches, _ = typical(data, 2 if options.quick else 6)
    made_from = (PRODUCT, batches, data.facts.encoder.vocab_size, 128, False, options.threads)
    ways = {name: Apart(Way, *made_from, **setting) for name, setting in SETTINGS.items()}
    figures = []
    for place in ("alone", "beside a busy process"):
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if place != "alone" else None
        times = in_turn({name: partial(way, "training") for name, way in ways.items()}, options.repeats)
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
        for name in list(SETTINGS)[1:]:
            figures.append(Figure(f"{place}: {OURS} is faster than {name} by", ratio(times, name, OURS)))
        steps = {name: took / len(batches) for name, took in medians(times).items()}
        figures += [Figure(f"{place}: a step, {name}", 1000 * took, unit="ms") for name, took in steps.items()]
    for way in ways.values():
        way.close()
    finish(options, figures, reviews=where_from)


if __name__ == "__main__":
    main()
