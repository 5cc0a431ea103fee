"""The page of this machine as a cluster, command by command: a real head, real jobs, a secret that is nowhere."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.shipping import wheel as shipping
from fullspectrum.clusters.shipping.homecoming import packing, unpack
from fullspectrum.clusters.shipping.wheel import build_wheel, package_files
from fullspectrum.clusters.spec.reading import load_cluster
from fullspectrum.clusters.targets.registry import target_of
from fullspectrum.search.config.studyfile import load_study

from ...faults.machines import wait
from ...pages import blocks

pytestmark = pytest.mark.timeout(600)

PAGE = Path(__file__).parents[3] / "docs" / "clusters" / "local.md"
#: The first line of a block that is a file.
FILE = re.compile(r"# (\w+\.(?:py|toml))\n")

SECRET = "correct-horse-battery-staple"

#: What the network does beside: it takes its time, until a file says that all has been looked at that runs.
SLOW = """

def slow(*_):
    if not os.path.exists({go!r}):
        time.sleep(0.1)


import time
made = tiny


def tiny(channels, size, classes):
    network = made(channels, size, classes)
    network.register_forward_pre_hook(slow)
    return network
"""

_MAIN = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"


class Place:
    """A folder of a user with a cluster file, a study and modules, and a home directory of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        found = blocks(PAGE)
        for _, text in (block for block in found if block[0] in ("toml", "python")):
            (folder / FILE.match(text)[1]).write_text(text)
        with (folder / "nets.py").open("a") as network:
            network.write(SLOW.format(go=str(folder / "go")))
        exported, *self.to_run = [line for language, text in found if language == "sh" for line in text.splitlines()]
        assert exported == f"export DATA_KEY={SECRET}"
        # A cluster of somebody else, which does not answer, is not joined.
        self.environment = os.environ | {"HOME": str(folder), "DATA_KEY": SECRET, "RAY_ADDRESS": "127.0.0.1:1"}
        self.study = load_study(str(folder / "study.toml")).id

    def run(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, "-c", _MAIN, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        assert SECRET not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *arguments: str) -> subprocess.Popen:
        """A command that goes on, on a terminal's terms: it ends at Ctrl-C."""
        program = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {_MAIN}"
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **pipes)

    def follow(self) -> str:
        """What the next command of the page prints."""
        program, *arguments = shlex.split(self.to_run.pop(0))
        assert program == "fullspectrum"
        return self.run(*arguments)

    def state(self) -> dict:
        """What `clusters status` says."""
        return json.loads(self.run("clusters", "status", "here.toml", "--json"))

    @property
    def head(self) -> dict:
        """What is noted of the head."""
        return json.loads((self.folder / ".fullspectrum" / "here" / "head.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("user"))
    try:
        yield made
    finally:
        made.run("clusters", "down", "here.toml")


@pytest.fixture(autouse=True)
def at_home(place, monkeypatch):
    """Targets of this process find the place's cluster, too."""
    monkeypatch.setenv("HOME", str(place.folder))


def test_a_search_is_launched_once_stopped_in_good_order_and_goes_on(place):
    submission = f"fullspectrum-{place.study}"
    assert "does not run" in place.run("clusters", "status", "here.toml")
    assert submission in place.follow()
    # Ctrl-C, and the end of the terminal, would leave it as --detach does.
    said = place.follow()
    assert f"job {submission} is submitted on cluster here" in said
    assert "nets.py, widths.py, study.toml" in said
    # Another launch follows the same job, until Ctrl-C.
    with place.start("launch", "here.toml", "study.toml") as following:
        assert any(f"study {place.study}: nets:tiny" in line for line in following.stdout)
        following.send_signal(signal.SIGINT)
        said = following.stderr.read()
    assert following.returncode == 130
    assert f"job {submission} runs already" in said and "left it running" in said
    place.environment["DATA_KEY"] = "another"
    assert "runs with other [secrets]" in place.run("launch", "here.toml", "study.toml", status=2)
    place.environment["DATA_KEY"] = SECRET

    (job,), _ = wait(lambda: [each for each in place.state()["jobs"] if any(each["studies"].values())], 90)
    assert job["phase"] == "running"
    assert f"job {submission}: running" in place.follow()
    assert f"study {place.study}: nets:tiny" in place.follow()
    assert "launch it again to go on" in place.follow()
    assert "had ended before" in place.run("clusters", "stop", "here.toml", place.study[:6])
    log = place.run("clusters", "logs", "here.toml", "study.toml")
    assert "Interrupted" in log
    assert "fullspectrum launch here.toml study.toml" in log

    (place.folder / "go").touch()
    said = place.follow()
    assert f"job {submission}-2 is submitted" in said and "best masks beside the baselines" in said
    state = place.state()
    assert [(each["id"], each["phase"]) for each in state["jobs"]] == [
        (submission, "stopped"),
        (f"{submission}-2", "succeeded"),
    ]
    assert state["jobs"][1]["studies"][place.study]["ended"] == 4
    assert state["nodes"][0]["resources"]["CPU"] == 2
    assert "4 of 4 trials ended" in place.run("clusters", "status", "here.toml")


def test_a_search_comes_home_by_a_job_too(place):
    # The folder is visible here, and is copied; by its log a job brings the same.
    place.follow()
    place.follow()
    target = target_of(load_cluster(str(place.folder / "here.toml")))
    with target._reach() as jobs:
        job = packing(str(place.folder / "runs"), [place.study])
        submission = jobs.submit(job, shlex.join(job.command)).id
        ended = jobs.wait(submission)
        unpack(jobs.logs(submission), place.folder / "unpacked", ended)
        jobs.forget(submission)
    copied, unpacked = (
        {file.relative_to(place.folder / name) for file in (place.folder / name).rglob("*") if file.is_file()}
        for name in ("results", "unpacked")
    )
    # The command before made a page of the one.
    assert copied - {Path("report.html")} == unpacked
    for home in ("results", "unpacked"):
        assert "finished" in place.run("status", place.study, "--home", home)
        place.run("export", f"best:{place.study}", "--home", home, "--format", "csr", "-o", f"{home}/best.npz")


def test_a_change_of_the_package_never_runs_as_it_was(place, tmp_path, monkeypatch):
    """A wheel of the same name would be taken from Ray's cache."""
    target = target_of(load_cluster(str(place.folder / "here.toml")))
    program = "import fullspectrum.spectral.mark as mark; print('mark', mark.MARK)"
    for mark in (1, 2):
        (tmp_path / "mark.py").write_text(f"MARK = {mark}\n")
        files = {**package_files(), "fullspectrum/spectral/mark.py": tmp_path / "mark.py"}
        with monkeypatch.context() as changed:
            changed.setattr(shipping, "package_files", lambda files=files: files)
            wheel = build_wheel(tmp_path)
        job = Job(f"fullspectrum-{mark:012x}", ["python", "-c", program], wheel=wheel)
        target.submit(job)
        assert f"mark {mark}\n" in "".join(target.logs(job.name, follow=True))


def test_the_secret_is_in_no_file_no_command_line_and_no_answer_of_the_head(place):
    target = target_of(load_cluster(str(place.folder / "here.toml")))
    with target._reach() as jobs:
        assert SECRET not in json.dumps(jobs._get("/api/jobs/"))
    assert SECRET not in place.run("launch", "here.toml", "study.toml", "--dry-run")
    processes = [psutil.Process(place.head["pid"]), *psutil.Process(place.head["pid"]).children(recursive=True)]
    assert len(processes) > 5
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            assert SECRET not in " ".join(process.cmdline())
    # Ray's logs and sockets, MLflow's database, the home, what is noted of the cluster.
    searched = [file for folder in (place.head["folder"], place.folder) for file in Path(folder).rglob("*")]
    assert any("job-driver" in file.name for file in searched)
    assert [file for file in searched if file.is_file() and SECRET.encode() in file.read_bytes()] == []


def test_nothing_listens_beyond_loopback_and_the_end_ends_all_and_nothing_else(place):
    leader = psutil.Process(place.head["pid"])
    processes = [leader, *leader.children(recursive=True)]
    listening = [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening and {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    folder = Path(place.head["folder"])
    # Of another Ray, by its name.
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "raylet", "gcs_server"])
    try:
        assert place.follow() == "cluster here is down\n"
        assert place.to_run == []
        assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert not folder.exists()
    assert place.state()["running"] is False
