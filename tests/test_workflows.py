"""Public CI and the versions it installs: valid, pinned, read-only, and in step with pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
PYTHONS = ["3.11", "3.12", "3.13"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EVERYTHING = [
    Requirement(text) for part in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for text in part
]

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def _jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    content: dict[str, Any] = yaml.safe_load(workflow.read_text("utf-8"))
    return content["jobs"]


def _steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in _jobs(workflow).values() for step in job["steps"]]


def _pins(name: str) -> dict[str, Version]:
    """The version of each package in a file of constraints."""
    lines = [line for line in (ROOT / name).read_text("utf-8").splitlines() if not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    assert len({canonicalize_name(package) for package, _ in pairs}) == len(pairs), "a package stands there twice"
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def _lower_bound(requirement: Requirement) -> Version:
    (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
    return Version(bound)


def _check(workflow: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def test_there_is_a_workflow() -> None:
    assert "tests.yml" in [workflow.name for workflow in WORKFLOWS]


@each_workflow
def test_a_workflow_is_valid(workflow: Path) -> None:
    checked = _check(workflow)
    assert checked.returncode == 0, checked.stdout


def test_a_workflow_that_is_not_valid_is_noticed(tmp_path: Path) -> None:
    broken = tmp_path / "tests.yml"
    broken.write_text((ROOT / ".github/workflows/tests.yml").read_text("utf-8").replace("runs-on", "run-on"), "utf-8")
    checked = _check(broken)
    assert checked.returncode == 1
    assert "runs-on" in checked.stdout


@each_workflow
def test_every_action_is_pinned_by_its_hash_with_the_version_beside_it(workflow: Path) -> None:
    used = [step["uses"] for step in _steps(workflow) if "uses" in step]
    pinned = re.findall(
        r"uses: ([\w.-]+/[\w./-]+@[0-9a-f]{40}) # (v[\d.]+)$", workflow.read_text("utf-8"), re.MULTILINE
    )
    assert [action for action, _ in pinned] == used
    assert used


@each_workflow
def test_a_workflow_may_read_and_no_more(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text("utf-8"))["permissions"] == {"contents": "read"}
    assert not [name for name, job in _jobs(workflow).items() if "permissions" in job]
    checkouts = [step for step in _steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(_jobs(workflow))
    for checkout in checkouts:
        assert checkout["with"] == {"persist-credentials": False}


@each_workflow
def test_no_job_runs_for_hours(workflow: Path) -> None:
    assert all(job["timeout-minutes"] <= 60 for job in _jobs(workflow).values())


def test_the_tested_versions_run_on_every_python() -> None:
    jobs = _jobs(ROOT / ".github/workflows/tests.yml")
    assert jobs["tested-versions"]["strategy"]["matrix"] == {"python": PYTHONS}
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    chosen = {
        name: step["with"]["python-version"]
        for name, job in jobs.items()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    }
    assert chosen.keys() == jobs.keys()
    assert chosen["newest-versions"] == PYTHONS[-1]
    assert chosen["oldest-versions"] == PYTHONS[0]


@each_workflow
def test_what_a_workflow_installs_is_there(workflow: Path) -> None:
    commands = "\n".join(step.get("run", "") for step in _steps(workflow))
    assert all((ROOT / name).is_file() for name in re.findall(r"--constraint (\S+)", commands))
    extras = {extra for extras in re.findall(r'"\.\[(.+?)\]"', commands) for extra in extras.split(",")}
    assert extras <= PROJECT["optional-dependencies"].keys()


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    bounds = {(canonicalize_name(requirement.name), _lower_bound(requirement)) for requirement in EVERYTHING}
    assert bounds == set(_pins("constraints-oldest.txt").items())


def test_the_tested_versions_are_allowed_ones() -> None:
    pins = _pins("constraints.txt")
    for requirement in EVERYTHING:
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} has no tested version"
        assert pins[name] in requirement.specifier
