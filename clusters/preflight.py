"""A look at each node before work begins: does it see the folders, import the modules, run the same code?"""

import contextlib
import importlib
import importlib.metadata
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .shipping.wheel import PACKAGE, digest_of, package_files

#: Seconds within which a node must have started a process and looked.
ANSWER_SECONDS = 90.0

#: What must be of the same version everywhere.
_PACKAGES = ("ray", "torch", "numpy", "optuna")


@dataclass(frozen=True)
class Needs:
    """What work needs of each node that does it."""

    shared: Path | None = None
    """A folder that must be the same one on all nodes; None where they need none in common."""
    readable: Sequence[str] = ()
    """Folders and files that must be readable."""
    modules: Sequence[str] = ()
    """Modules that must import, beside our own."""
    gpus: bool = False
    """Whether torch must see a GPU on the nodes that have one for Ray."""
    reach: Callable[[], None] | None = None
    """A function that reaches what all nodes must reach, or raises an error that says in one line why it cannot."""


def unfit_nodes(needs: Needs) -> list[str]:
    """Look at each node that does work; return a line for each mistake, which begins with the address of its node.

    Ray must be connected. A node that is lost meanwhile is passed over, as Ray goes on without it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # A node that no work can be put on need not be able to do it.
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    # The types of Ray end at five arguments.
    task: Any = ray.remote(num_cpus=0, max_retries=0)(_look)
    mistakes = []
    with _marked(needs.shared) as mark:
        looks = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            with_gpus = needs.gpus and bool(node["Resources"].get("GPU"))
            question = (mark, needs.readable, needs.modules, with_gpus, _versions(), needs.reach)
            looks[task.options(scheduling_strategy=there).remote(*question)] = node
        _, late = ray.wait(list(looks), num_returns=len(looks), timeout=ANSWER_SECONDS) if looks else ([], [])
        answers = {look: [f"does not answer within {ANSWER_SECONDS:g} s"] for look in late}
        answers |= {look: _answer(look) for look in looks if look not in answers}
        lost = {node["NodeID"] for node in ray.nodes() if not node["Alive"]}
        for asked, node in looks.items():
            if node["NodeID"] not in lost:
                mistakes += [f"node {_name(node)} {mistake}" for mistake in answers[asked]]
    return sorted(mistakes)


def _name(node: dict[str, Any]) -> str:
    address, host = node["NodeManagerAddress"], node["NodeManagerHostname"]
    return address if host in (address, "") else f"{address} ({host})"


def _answer(look: Any) -> list[str]:
    import ray

    try:
        found: list[str] = ray.get(look)
        return found
    except ray.exceptions.RayError as error:
        # What is not installed there is the last line of a traceback.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return [f"cannot run our code: {lines[-1] if lines else type(error).__name__}"]


@contextlib.contextmanager
def _marked(folder: Path | None) -> Iterator[tuple[str, str] | None]:
    """Yield the path of a file in the folder, and the text that it holds, while it is there."""
    if folder is None:
        yield None
        return
    text = secrets.token_hex(16)
    file = folder.resolve() / f"mark-{text[:8]}"
    file.write_text(text)
    try:
        yield str(file), text
    finally:
        file.unlink(missing_ok=True)


def _look(
    mark: tuple[str, str] | None,
    readable: Sequence[str],
    modules: Sequence[str],
    gpus: bool,
    versions: dict[str, str],
    reach: Callable[[], None] | None = None,
) -> list[str]:
    """Return what is wrong with the node that this runs on."""
    mistakes = []
    here = _versions()
    for name, version in versions.items():
        if here[name] != version:
            mistakes.append(f"has {name} {here[name]}, but the driver has {version}; install the same")
    if mark and (wrong := _other(*mark)):
        mistakes.append(wrong)
    for place in readable:
        if not os.access(place, os.R_OK | (os.X_OK if os.path.isdir(place) else 0)):
            mistakes.append(f"cannot read {place!r}: put it on storage that all nodes see")
    for module in modules:
        # As a worker finds it.
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 - whatever a user's module does, it is that module's mistake
            mistakes.append(f"cannot import {module!r}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    if reach is not None:
        try:
            reach()
        except Exception as error:  # noqa: BLE001 - what is not reached is that node's mistake, however it fails
            mistakes.append(str(error).partition("\n")[0] or type(error).__name__)
    if gpus and not _sees_gpus():
        mistakes.append("has a GPU, but torch sees none; install a torch that is built for it")
    return mistakes


def _other(file: str, text: str) -> str | None:
    """Return what is wrong where a file of the driver is not seen here; else None."""
    folder = os.path.dirname(file)
    # What a network file system remembers of a folder it looks at anew when that is listed.
    with contextlib.suppress(OSError):
        os.listdir(folder)
    try:
        if Path(file).read_text() == text:
            return None
    except OSError as error:
        reason = "is not the same folder there" if os.path.isdir(folder) else f"is not there ({error.strerror})"
        return f"does not see the driver's {folder!r}: it {reason}; put the home folder on storage that all nodes see"
    return f"sees another {folder!r} than the driver; put the home folder on storage that all nodes see"


def _sees_gpus() -> bool:
    """Return whether torch sees a GPU, in a process from which Ray does not hide any."""
    outside = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    program = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", program], env=outside, check=False).returncode == 0


def _versions() -> dict[str, str]:
    """Return the versions of what must be the same everywhere; of our own package the hash of its content."""
    versions = {"Python": platform.python_version().rpartition(".")[0], PACKAGE: digest_of(package_files())}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "(none)"
    return versions
