"""The version of the package, also where it is not installed."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: The name of the distribution.
NAME = "fullspectrum"


def package_version() -> str:
    """Return the version that is installed; of a checkout on the path that of its pyproject.toml, or "unknown"."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return _of_checkout(Path(__file__).resolve().parents[2] / "pyproject.toml")


def _of_checkout(file: Path) -> str:
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return "unknown"
    return str(project.get("version", "unknown")) if project.get("name") == NAME else "unknown"
