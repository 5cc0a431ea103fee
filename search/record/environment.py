"""The environment that a record names: versions of Python and of the packages that results depend on."""

import platform
from importlib import metadata

from .version import package_version


def environment() -> dict[str, str]:
    """Return the versions by package name."""
    packages = ("torch", "torchvision", "numpy", "scipy", "optuna", "ray", "mlflow")
    own = {"python": platform.python_version(), "fullspectrum": package_version()}
    return own | {name: metadata.version(name) for name in packages}
