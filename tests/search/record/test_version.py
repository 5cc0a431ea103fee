"""The version, installed or not."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from fullspectrum.search.record.environment import environment
from fullspectrum.search.record.version import _of_checkout, package_version

ROOT = Path(__file__).parents[3]


def test_the_version_is_that_of_the_package_and_of_its_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package_version() == version("fullspectrum") == project["version"] == _of_checkout(ROOT / "pyproject.toml")
    assert environment()["fullspectrum"] == package_version()


def test_a_checkout_that_is_not_installed_has_a_version(tmp_path):
    package = tmp_path / "fullspectrum"
    package.mkdir()
    for folder in ("clusters", "models", "search", "spectral"):
        (package / folder).symlink_to(ROOT / folder)
    code = (
        "import importlib.metadata as m, sys\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = missing\n"
        "from fullspectrum.search.record.version import package_version; print(package_version())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == package_version()


@pytest.mark.parametrize("content", [None, "", "[project]", "no toml", '[project]\nname = "other"\nversion = "3"'])
def test_a_folder_that_is_no_checkout_has_none(tmp_path, content):
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    assert _of_checkout(tmp_path / "pyproject.toml") == "unknown"
