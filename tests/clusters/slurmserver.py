"""A real Slurm on this machine, for tests: Debian's packages unpacked into the build folder, two nodes on loopback.

Nothing is installed, no service is started or changed, and any user may run it: the daemons run as whoever runs the
tests, with a configuration, a key and ports of their own.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: Where the packages are unpacked, once: 14 MB.
PLACE = Path(__file__).parent.parent.parent / "build" / "slurm"

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")

#: What is written in `slurm.conf`, in which the nodes follow. A job that is put back into the queue begins again when
#: its old credential has expired, which is after two minutes by default.
_CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
PluginDir={plugins}
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait={kill_wait}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

#: CPUs that each node says it has: the test machine's are shared by both.
CPUS = 2


class Slurm:
    """A controller and two nodes, `one` and `two`, with everything that they write in `folder`."""

    nodes = ("one", "two")

    def __init__(self, folder: Path, kill_wait: int = 30):
        self._folder = folder
        self._root = unpacked()
        self._processes: list[subprocess.Popen[bytes]] = []
        libraries = next(self._root.glob("usr/lib/*/slurm-wlm"))
        self._environment = {
            "PATH": os.pathsep.join([str(self._root / "usr/bin"), str(self._root / "usr/sbin"), os.environ["PATH"]]),
            "LD_LIBRARY_PATH": os.pathsep.join([str(libraries), str(libraries.parent)]),
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        controller, *ports = _free_ports(1 + len(self.nodes))
        configuration = _CONFIGURATION.format(
            host=socket.gethostname(),
            user=pwd.getpwuid(os.geteuid()).pw_name,
            folder=folder,
            plugins=libraries,
            port=controller,
            kill_wait=kill_wait,
        )
        nodes = [
            f"NodeName={name} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
            "RealMemory=4096 State=UNKNOWN"
            for name, port in zip(self.nodes, ports, strict=True)
        ]
        (folder / "slurm.conf").write_text("\n".join([configuration, *nodes, ""]))
        (folder / "state").mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user of this Slurm, apart from what the machine has."""
        return dict(self._environment)

    def start(self) -> "Slurm":
        """Start the daemons, and wait until both nodes are idle."""
        key = self._folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = [f"--{name}={self._folder}/munge.{name.removesuffix('-file')}" for name in ("pid-file", "log-file")]
        seed, sock = f"--seed-file={self._folder}/munge.seed", f"--socket={self._folder}/munge.socket"
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", seed, sock, *munge)
        self._reached(lambda: (self._folder / "munge.socket").exists())
        self._daemon("slurmctld-wlm", "-D")
        stepd = self._root / "usr/sbin/slurmstepd-wlm"
        for name in self.nodes:
            self._daemon("slurmd-wlm", "-D", "-N", name, "-d", str(stepd))
        self._reached(lambda: self.run("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle"] * 2)
        return self

    def run(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | self._environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}\n{self.logs()}")
        return done.stdout

    def logs(self) -> str:
        """Return what the daemons wrote."""
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self._folder.glob("*.log")))

    def stop(self) -> None:
        """End all jobs, then the daemons, newest first."""
        with contextlib.suppress(RuntimeError):
            self.run("scancel", "--signal=KILL", "--full", "--user", pwd.getpwuid(os.geteuid()).pw_name)
            self.run("scancel", "--user", pwd.getpwuid(os.geteuid()).pw_name)
            self._reached(lambda: not self.run("squeue", "--noheader"))
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _daemon(self, *command: str) -> None:
        with (self._folder / "daemons.log").open("ab") as log:
            environment = os.environ | self._environment
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def _reached(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(RuntimeError):
                if condition():
                    return
            if time.monotonic() > end or any(process.poll() is not None for process in self._processes):
                raise RuntimeError(f"Slurm does not start\n{self.logs()}")
            time.sleep(0.1)


def unpacked() -> Path:
    """Return the folder of Debian's packages, unpacked; they are fetched where they are not there."""
    if PLACE.exists():
        return PLACE
    if not shutil.which("apt-get"):
        raise RuntimeError("the tests of Slurm take it from Debian's packages, by apt-get, which is not here")
    PLACE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE.parent) as scratch:
        archives, root = Path(scratch, "archives"), Path(scratch, "root")
        (archives / "partial").mkdir(parents=True)
        # What is installed on this machine already is fetched too.
        fetch = ["apt-get", "install", "--reinstall", "--yes", "--no-install-recommends", "--download-only"]
        # Nothing is locked, as nothing is installed; apt's own user cannot write here.
        fetch += ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]
        done = subprocess.run([*fetch, *PACKAGES], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode and os.geteuid() == 0:
            # On a new machine the lists of packages are missing or old.
            subprocess.run(["apt-get", "update"], capture_output=True, timeout=300, check=False)
            done = subprocess.run([*fetch, *PACKAGES], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"Debian's packages of Slurm cannot be fetched (apt-get update?): {done.stderr}")
        for archive in archives.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", archive, root], check=True, timeout=60)
        root.rename(PLACE)
    return PLACE


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(kill_wait: int = 30) -> Iterator[Slurm]:
    """A Slurm without jobs."""
    # A short path: munge's is that of a socket.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        slurm = Slurm(Path(folder), kill_wait)
        try:
            yield slurm.start()
        finally:
            slurm.stop()
