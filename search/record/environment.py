"""The environment that a record names: the versions that results depend on, and the machine of the driver."""

import os
import platform
from importlib import metadata

from .version import package_version


def environment() -> dict[str, str]:
    """Return the versions by package name, and what is known of the machine."""
    packages = ("torch", "torchvision", "numpy", "scipy", "optuna", "ray", "mlflow")
    own = {"python": platform.python_version(), "fullspectrum": package_version()}
    return own | {name: metadata.version(name) for name in packages} | _machine()


def _machine() -> dict[str, str]:
    # Imported here: the environment is asked for where it is loaded already.
    import torch

    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        # The number alone: a name would take a GPU that the workers are to have.
        "gpus": str(torch.cuda.device_count()),
    }


def _processor() -> str:
    """Return the name of the processor; of a system that does not tell it, its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
