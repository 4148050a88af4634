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

    def number(name: str) -> int:
        return int(os.environ.get(name) or 1)

    if "TORCHELASTIC_RUN_ID" in os.environ:
        processes, devices = number("WORLD_SIZE"), number("LOCAL_WORLD_SIZE")
        by, rank = "torchrun", os.environ.get("RANK")
    elif "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in _BY_HAND:
        processes = number("SLURM_NTASKS")
        by, rank, devices = "srun", os.environ.get("SLURM_PROCID"), processes // number("SLURM_NNODES")
    else:
        return None
    return Launch(by, devices, processes // devices, int(rank or 0)) if processes > 1 else None
