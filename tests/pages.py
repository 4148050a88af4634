"""A page of the documents, executed: every command and every line of Python in it, in the order of the page.

What a page shows after a command has to be what that command prints, but for the numbers: here the reviews are twenty
and most trainings see a few batches an epoch.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ELSEWHERE = ("pip ", "make ")
"""Commands that make an environment or run these tests: the gate runs them."""
_RUN = re.compile(r"runs/([a-z_-]+)/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
_WHOLE = "Stopped early"
"""Where a page shows this, the training before it is done as it stands."""
_PROGRAM = """#!/usr/bin/env bash
# The command; trainings see three batches of each part, unless their options ask for something of their own.
few=(--trainer.limit_train_batches 3 --trainer.limit_val_batches 3)
case "$*" in
*presets/* | *--dry-run* | *--help* | *--print_config*) few=() ;;
fit\\ *) ;;
compare\\ *) few+=(--seeds 1) ;;
sweep\\ *) few+=(--trials 2) ;;
*) few=() ;;
esac
exec {program} "$@" "${{few[@]}}"
"""
_VARYING = (
    (r"\b(positive|negative)\b", "LABEL"),
    (r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?", "TIME"),
    (r"\d[\d,.:]*(e-?\d+,?)?( (s|min|h|[KMG]i?B|kB|%)(?!\w))?", "#"),
    (r"^\w+ and \w+: ", "PAIR: "),
    (r"\b(do not )?differ beyond chance", "VERDICT"),
    (r"p [<=] #|-#", "#"),
    (r"\b(val|test)_auroc #", ""),
    (r"\[#,? #\]|─+|-{3,}", ""),
    (r" ± #", ""),
    (r"#([\s,]*#)+", "#"),
    (r"\bs\b|(?<=[a-z])s\b", ""),
)
"""What is other here than on the page: numbers, how many of them, and with them the plural of what is counted.

There is no AUROC where a part has one class alone, and no deviation of a single seed."""
_OF_THE_DATA = ("Note: ", "sequences cut off ", "tokens cut off ")
"""How lines begin that depend on what the data is."""
_WRITTEN = re.compile(r'--prompt "?([^\s"]+)')


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and content of each block of code."""
    return _BLOCK.findall((ROOT / page).read_text("utf-8"))


def hold(page: str, program: Path, tools: Path) -> None:
    """Runs a page in the working directory.

    Args:
        page: its path in the repository.
        program: the command, called rnn-lightning.
        tools: an empty folder, for a program that stands in its place where trainings are to be short.
    """
    short = tools / "rnn-lightning"
    short.write_text(_PROGRAM.format(program=shlex.quote(str(program))), "utf-8")
    short.chmod(0o755)
    content = blocks(page)
    printed = ""
    for place, (language, code) in enumerate(content):
        if language == "sh" and not code.startswith(_ELSEWHERE):
            shown = next((text for kind, text in content[place + 1 :] if kind in ("sh", "text")), "")
            printed = _output(["bash", "-euo", "pipefail", "-c", code], program.parent if _WHOLE in shown else tools)
            prompts = _WRITTEN.findall(code)
        elif language == "python":
            printed = _output([sys.executable, "-c", _RUN.sub(_newest, code)], tools)
        elif language == "text" and place and content[place - 1][0] == "sh" and printed:
            _compare(code, printed, prompts)


def _compare(shown: str, printed: str, prompts: list[str]) -> None:
    """Holds every line that a page shows to be one that was printed, but for numbers and what a model wrote."""
    known = {_without_numbers(line) for line in printed.splitlines()}
    for line in shown.splitlines():
        left_out = line.strip() in ("", "...") or line.strip().startswith(("$ ", *prompts, *_OF_THE_DATA))
        assert left_out or _without_numbers(line.removesuffix("...")) in known, f"{line}\nis not in\n{printed}"


def _without_numbers(line: str) -> str:
    for pattern, place in _VARYING:
        line = re.sub(pattern, place, line)
    return " ".join(line.split())


def _newest(match: re.Match[str]) -> str:
    """A run that was made here, in place of the one that the page names."""
    return str(max(Path("runs", match[1]).iterdir()))


def _output(words: list[str], tools: Path) -> str:
    paths = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        words,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=900,
        env={**os.environ, "PATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, f"{words[-1]}\n{done.stdout}"
    return done.stdout
