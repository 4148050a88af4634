"""Public CI and the versions it installs: valid, pinned, read-only, and in step with pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
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
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, TOOLS, BUILD = PYPROJECT["project"], PYPROJECT["tool"], PYPROJECT["build-system"]
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
    """The version of each package in a file of constraints, with or without hashes."""
    pairs = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    assert len({canonicalize_name(package) for package, _ in pairs}) == len(pairs), "a package stands there twice"
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def _lower_bound(requirement: Requirement) -> Version:
    (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
    return Version(bound)


def _check(file: Path, schema: str = "vendor.github-workflows") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
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


def test_what_is_installed_by_hash_is_what_is_tested() -> None:
    """But for torch, whose builds have hashes of their own, and for extras that are too large for CI."""
    left_out = {"torch", "mlflow", "wandb", "ray"}
    tested = {name: version for name, version in _pins("constraints.txt").items() if name not in left_out}
    assert _pins("requirements-dev.txt") == tested


def test_each_package_has_a_hash_and_is_installed_from_a_wheel() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines[0] == "--only-binary :all:"
    packages = 0
    for line, after in zip(lines[1:], [*lines[2:], ""], strict=True):
        if line.startswith("    "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
        else:
            packages += 1
            assert line.endswith(" \\"), line
            assert after.startswith("    --hash="), line
    assert packages == len(_pins("requirements-dev.txt"))


def test_what_torch_needs_is_installed_by_its_hash() -> None:
    """All but CUDA, which the build for the CPU does without."""
    needed = [Requirement(text) for text in requires("torch") or []]
    names = {canonicalize_name(needs.name) for needs in needed if "extra" not in str(needs.marker)}
    own = {name for name in names if not name.startswith(("nvidia-", "cuda-", "triton"))}
    (stated,) = [entry for entry in TOOLS["uv"]["dependency-metadata"] if entry["name"] == "torch"]
    assert own <= set(stated["requires-dist"])
    assert own <= _pins("requirements-dev.txt").keys()


def test_make_installs_by_hash_and_fetches_nothing_to_build_with() -> None:
    (recipe,) = re.findall(
        r"^\$\(VENV\)/installed: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    installs = re.findall(r"pip install --quiet (.*)", recipe)
    assert installs == [
        "--require-hashes --no-deps --requirement requirements-dev.txt",
        "--constraint constraints.txt torch",
        "--no-build-isolation --no-deps --editable .",
    ]
    build = Requirement(*BUILD["requires"])
    assert str(build) in PROJECT["optional-dependencies"]["dev"]


@pytest.mark.parametrize(
    ("package", "versions"),
    [
        ("lightning", ["2.0.0", "2.4.0", "2.6.1", "2.6.2", "2.6.3", "2.6.4", "2.6.5"]),
        ("torch", ["2.5.1", "2.6.0", "2.9.1"]),
    ],
)
def test_releases_with_known_holes_cannot_be_installed_beside_us(package: str, versions: list[str]) -> None:
    bounds = [requirement.specifier for requirement in EVERYTHING if requirement.name == package]
    assert bounds
    for bound in bounds:
        assert not list(bound.filter(versions))


def test_new_releases_are_proposed_but_not_in_their_first_week() -> None:
    file = ROOT / ".github" / "dependabot.yml"
    checked = _check(file, "vendor.dependabot")
    assert checked.returncode == 0, checked.stdout
    updates = {update["package-ecosystem"]: update for update in yaml.safe_load(file.read_text("utf-8"))["updates"]}
    assert updates.keys() == {"pip", "github-actions"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates.values())
    assert updates["pip"]["exclude-paths"] == ["constraints-oldest.txt"]
