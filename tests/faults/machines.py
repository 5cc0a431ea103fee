"""Machines on this machine: network namespaces on a bridge, each with its own processes, host name and Ray folder."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

#: Ray's folder and shared memory are each machine's own; what `ray start` began is started again when it ends, as a
#: service of a real machine would be.
_BOOT = """
hostname {name}
mkdir -p /tmp/ray
mount -t tmpfs -o size=400m tmpfs /tmp/ray
mount -t tmpfs -o size=400m tmpfs /dev/shm
while :; do {start}; sleep 1; done
"""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def can_be_had() -> bool:
    """Whether this process may make namespaces, and links between them."""
    probe = ["unshare", "-n", "-m", "-p", "-u", "-f", "--mount-proc", "true"]
    return os.geteuid() == 0 and subprocess.run(probe, check=False, capture_output=True).returncode == 0


class Machine:
    """One machine of a network."""

    def __init__(self, network: "Network", number: int, name: str):
        self.name = name
        self.address = network.address(number)
        self._space, self._link = f"{network.name}n{number}", f"{network.name}v{number}"
        self._process: subprocess.Popen | None = None
        inner = f"{network.name}i{number}"
        _ip("netns", "add", self._space)
        _ip("link", "add", self._link, "type", "veth", "peer", "name", inner, "netns", self._space)
        _ip("link", "set", self._link, "master", network.name, "up")
        for command in (f"addr add {self.address}/24 dev {inner}", f"link set {inner} up", "link set lo up"):
            _ip("-n", self._space, *command.split())

    def start(self, options: list[str], environment: dict[str, str], log: Path) -> "Machine":
        """Boots it: `ray start` with options."""
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={self.address}"]
        script = _BOOT.format(name=self.name, start=shlex.join([*ray, *options]))
        isolated = ["unshare", "-u", "-m", "-p", "-f", "--mount-proc", "--kill-child", "bash", "-c", script]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self._space, *isolated],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | environment | {"PATH": path},
                cwd="/",
            )
        return self

    def kill(self) -> None:
        """Takes its power: all its processes die at once."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def processes(self) -> list[psutil.Process]:
        """What runs on it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def runs(self, words: str) -> list[psutil.Process]:
        """Its processes whose command line holds these words."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Its link is down meanwhile; it goes on computing."""
        _ip("link", "set", self._link, "down")
        try:
            yield
        finally:
            _ip("link", "set", self._link, "up")

    @contextlib.contextmanager
    def covered(self, folder: Path) -> Iterator[None]:
        """A folder of the others is another one on it meanwhile, as where a file system is not mounted."""
        inside = ["nsenter", f"--target={psutil.Process(self._process.pid).children()[0].pid}", "--mount", "--pid"]
        subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "umount", "--lazy", str(folder)], check=True)

    def remove(self) -> None:
        """Kills it, and takes its namespace and its link away."""
        self.kill()
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self._space)


class Network:
    """A bridge of this machine, which has the first address, with machines on it."""

    def __init__(self) -> None:
        self._machines: list[Machine] = []
        for number in range(os.getpid() % 200, 256):
            self.name, self._prefix = f"fs{number}", f"10.231.{number}"
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("link", "add", self.name, "type", "bridge")
                break
        _ip("addr", "add", f"{self.address(1)}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def address(self, number: int) -> str:
        """The address of a machine by its number, from 2 on; 1 is this machine."""
        return f"{self._prefix}.{number}"

    def machine(self, name: str) -> Machine:
        """One more machine, not booted yet."""
        made = Machine(self, len(self._machines) + 2, name)
        self._machines.append(made)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            machine.remove()
        _ip("link", "del", self.name)


def wait(reached, seconds: float = 120.0):
    """Waits until `reached` is true, and returns what it was and after how many seconds."""
    began = time.monotonic()
    while not (found := reached()):
        assert time.monotonic() - began < seconds, "it was not reached in time"
        time.sleep(0.1)
    return found, time.monotonic() - began
