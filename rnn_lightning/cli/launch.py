"""Who has started the processes of a job, where the command does not do so itself. Nothing heavy is imported here."""

from __future__ import annotations

import os
from typing import NamedTuple

_BY_HAND = ("bash", "interactive")
"""Names of SLURM's jobs that are a shell: Lightning takes what is started there for a process of its own."""


class Launch(NamedTuple):
    """Processes that wait for each other.

    Attributes:
        by: who started them: torchrun or srun.
        devices: processes of a node, one for each device.
        nodes: how many machines there are.
        rank: which of all processes this is, from 0 on.
    """

    by: str
    devices: int
    nodes: int
    rank: int


def launch() -> Launch | None:
    """How this process was started with others; None where it is the only one, or starts others itself."""
    if _by_torchrun():
        processes, devices = _number("WORLD_SIZE"), _number("LOCAL_WORLD_SIZE")
        by, rank = "torchrun", os.environ.get("RANK")
    elif _in_slurm() and "SLURM_STEP_ID" in os.environ:
        processes = _number("SLURM_NTASKS")
        by, rank, devices = "srun", os.environ.get("SLURM_PROCID"), processes // _number("SLURM_NNODES")
    else:
        return None
    return Launch(by, devices, processes // devices, int(rank or 0)) if processes > 1 else None


def lacks_srun() -> bool:
    """Whether SLURM has a place for several processes, and this one alone was started: it would wait for the others."""
    several = _in_slurm() and _number("SLURM_NTASKS") > 1
    return several and "SLURM_STEP_ID" not in os.environ and not _by_torchrun()


def _by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _in_slurm() -> bool:
    return os.environ.get("SLURM_JOB_NAME") not in _BY_HAND


def _number(name: str) -> int:
    return int(os.environ.get(name) or 1)
