"""Runs the benchmarks, one after the other.

    python benchmarks/run.py
    python benchmarks/run.py --quick

All of them take most of an hour and end in docs/benchmarks.md. The quick form runs those with bounds, in a minute or
so, and fails where a ratio is far off.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ALL = (
    *("training", "layers", "scaling", "denormals", "optimizer", "data", "trainer", "startup", "waiting", "processes"),
    "export",
)
WITH_BOUNDS = ("training", "layers", "denormals", "optimizer", "data")


def main() -> int:
    """Runs them.

    Returns:
        The exit code: 1 where the check fails.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ratios alone, in a minute")
    options = parser.parse_args()
    root = FOLDER.parent
    quick = ["--quick"] if options.quick else []
    results = root / "build" / "benchmarks" / ("quick" if options.quick else "")
    files = []
    for name in WITH_BOUNDS if options.quick else ALL:
        print(f"\n{name}", flush=True)
        files.append(str(results / f"{name}.json"))
        _python(f"{name}.py", *quick, "--json", files[-1], check=True)
    then = ["--check"] if options.quick else ["--output", str(root / "docs" / "benchmarks.md")]
    return _python("report.py", *files, *then)


def _python(script: str, *words: str, check: bool = False) -> int:
    return subprocess.run([sys.executable, str(FOLDER / script), *words], check=check).returncode


if __name__ == "__main__":
    sys.exit(main())
