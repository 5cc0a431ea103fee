"""A driver that crashes is started again, one that ends on purpose is not, and no driver outlives its supervisor."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: Supervises the driver below; takes the terminal where it is given one.
SUPERVISOR = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from fullspectrum.search.process import supervisor
supervisor.PAUSE = float(sys.argv[1])
sys.exit(supervisor.supervise([sys.executable, *sys.argv[2:]], "AGAIN"))
"""

#: A driver that does at each of its starts what the plan says for it, and writes down what happens to it.
DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
from fullspectrum.search.process import link

link.ORPHAN_SECONDS = 0.5
folder = Path(sys.argv[1])

def note(word):
    with (folder / "notes").open("a") as notes:
        notes.write(word + "\\n")

def on_signal(number, frame):
    note(signal.Signals(number).name)

signal.signal(signal.SIGINT, on_signal)
signal.signal(signal.SIGTERM, on_signal)
line = link.SupervisorLink.from_environment()
plan = json.loads((folder / "plan").read_text())
past = (folder / "notes").read_text().count("start") if (folder / "notes").exists() else 0
note("start " + " ".join(sys.argv[2:]))
(folder / "pid").write_text(str(os.getpid()))
for action in plan[past]:
    word, _, number = action.partition(" ")
    if word == "restarts":
        line.allow_restarts(int(number))
    elif word == "progress":
        line.report_progress()
    elif word == "failed":
        line.report_failure()
    elif word == "default":
        signal.signal(int(number), signal.SIG_DFL)
    elif word == "die":
        os.kill(os.getpid(), int(number))
    elif word == "exit":
        sys.exit(int(number))
    elif word == "say":
        print("drawn" + "\\r", flush=True)
    elif word == "wait":
        note("waits")
        # A driver that shuts down in good order: leaves once as many signals have come, or one that hangs never.
        while int(number) == 0 or (folder / "notes").read_text().count("SIG") < int(number):
            time.sleep(0.01)
"""


class Supervised:
    """A supervisor of the driver above, and what that one noted."""

    def __init__(self, folder: Path):
        self._folder = folder
        (folder / "driver.py").write_text(DRIVER)
        self.process: subprocess.Popen | None = None

    def start(self, *plan: list[str], pause: float = 0.01, **settings) -> "Supervised":
        (self._folder / "plan").write_text(json.dumps(plan))
        command = [sys.executable, "-c", SUPERVISOR, str(pause), self._folder / "driver.py", self._folder, "search"]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings
        self.process = subprocess.Popen(command, **settings)
        return self

    def result(self) -> tuple[int, str]:
        """The exit status, and what was said on stderr."""
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err

    @property
    def notes(self) -> list[str]:
        path = self._folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def driver(self) -> int:
        return int((self._folder / "pid").read_text())

    @property
    def starts(self) -> int:
        return sum(note.startswith("start") for note in self.notes)


@pytest.fixture
def supervised(tmp_path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that must come; the test's own time limit ends it."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def state(pid: int) -> str:
    """The state of a process: R, S, T (stopped), Z; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    return state(pid) in ("", "Z", "X")


@pytest.mark.parametrize("status", [0, 2, 130, 143])
def test_a_driver_that_ends_on_purpose_is_not_started_again(supervised, status):
    assert supervised.start(["restarts 3", f"exit {status}"]).result() == (status, "")
    assert supervised.starts == 1


def test_a_study_that_has_failed_is_not_started_again(supervised):
    assert supervised.start(["restarts 3", "failed", "exit 1"]).result() == (1, "")
    assert supervised.starts == 1


def test_a_driver_that_crashes_is_started_again_with_resume(supervised):
    status, err = supervised.start(
        ["restarts 3", f"die {signal.SIGKILL:d}"], ["restarts 3", "exit 255"], ["restarts 3", "exit 0"]
    ).result()
    assert status == 0
    assert supervised.notes == ["start search", "start search --resume", "start search --resume"]
    assert err.splitlines() == [
        "fullspectrum: the driver died (SIGKILL); starting it again, 1 of 3",
        "fullspectrum: the driver died (exit status 255); starting it again, 2 of 3",
    ]


def test_what_was_away_after_a_crash_is_asked_for_again(supervised):
    """The head of a cluster that was lost may come back."""
    code, err = supervised.start(["restarts 3", "die 9"], ["exit 2"], ["exit 0"]).result()
    assert (code, supervised.starts) == (0, 3)
    assert "the driver died (exit status 2); starting it again, 2 of 3" in err


def test_after_the_last_restart_the_user_is_told_how_to_go_on(supervised):
    status, err = supervised.start(*[["restarts 2", f"die {signal.SIGSEGV:d}"]] * 3).result()
    assert status == 1
    assert supervised.starts == 3
    assert err.splitlines()[-1] == "fullspectrum: the driver died (SIGSEGV); go on with: AGAIN"


def test_no_restarts_switches_them_off(supervised):
    status, err = supervised.start(["restarts 0", f"die {signal.SIGKILL:d}"]).result()
    assert (status, supervised.starts) == (1, 1)
    assert err == "fullspectrum: the driver died (SIGKILL); go on with: AGAIN\n"


def test_a_driver_that_died_before_it_knew_its_settings_is_not_started_again(supervised):
    status, _ = supervised.start(["exit 1"]).result()
    assert (status, supervised.starts) == (1, 1)


def test_only_restarts_in_a_row_without_progress_count(supervised):
    die = f"die {signal.SIGKILL:d}"
    crash, progress = ["restarts 2", die], ["restarts 2", "progress", "progress", die]
    status, err = supervised.start(crash, crash, progress, crash, crash).result()
    assert status == 1
    counted = [line.rpartition(", ")[2] for line in err.splitlines()[:-1]]
    assert counted == ["1 of 2", "2 of 2", "1 of 2", "2 of 2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_once_each(supervised, number):
    supervised.start(["restarts 3", "wait 2", f"exit {128 + number}"])
    until(lambda: "waits" in supervised.notes)
    supervised.process.send_signal(number)
    until(lambda: number.name in supervised.notes)
    supervised.process.send_signal(number)
    assert supervised.result() == (128 + number, "")
    assert supervised.notes == ["start search", "waits", number.name, number.name]


def test_a_driver_that_dies_while_it_is_asked_to_end_is_not_started_again(supervised):
    supervised.start(["restarts 3", "wait 1", f"die {signal.SIGKILL:d}"])
    until(lambda: "waits" in supervised.notes)
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.result() == (130, "fullspectrum: interrupted; go on with: AGAIN\n")
    assert supervised.starts == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_driver_handles_any_says_how_to_go_on(supervised, number):
    """As in its first second, when Python itself is starting."""
    ends = supervised.start(["restarts 3", f"default {number:d}", f"die {number:d}"]).result()
    assert ends == (128 + number, "fullspectrum: interrupted; go on with: AGAIN\n")
    assert supervised.starts == 1


def test_a_signal_between_two_drivers_ends_it(supervised):
    supervised.start(["restarts 3", f"die {signal.SIGKILL:d}"], pause=1000)
    line = supervised.process.stderr.readline()
    assert "starting it again" in line
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.result() == (143, "fullspectrum: interrupted; go on with: AGAIN\n")


def test_a_driver_is_asked_to_leave_when_its_supervisor_is_killed(supervised):
    supervised.start(["restarts 3", "wait 1", "exit 143"])
    until(lambda: "waits" in supervised.notes)
    supervised.process.kill()
    until(lambda: gone(supervised.driver))
    assert supervised.notes[-1] == "SIGTERM"


def test_a_driver_that_does_not_leave_is_gone_soon_after_its_supervisor(supervised):
    supervised.start(["restarts 3", "wait 0"])
    until(lambda: "waits" in supervised.notes)
    supervised.process.kill()
    until(lambda: gone(supervised.driver))


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_ctrl_c_on_a_terminal_reaches_the_driver_once_which_draws_there(supervised, terminal):
    ours, theirs = terminal
    # Where a process in the background that writes is stopped, too.
    subprocess.run(["stty", "tostop"], stdin=theirs, check=True)
    there = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    supervised.start(["restarts 3", "say", "wait 1", "exit 130"], **there)
    until(lambda: "waits" in supervised.notes)
    os.write(ours, b"\x03")
    assert supervised.process.wait(30) == 130
    assert supervised.notes == ["start search", "waits", "SIGINT"]
    assert b"drawn" in os.read(ours, 4096)


def test_ctrl_z_on_a_terminal_stops_the_driver_too(supervised, terminal):
    ours, theirs = terminal
    there = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    supervised.start(["restarts 3", "wait 1", "exit 130"], **there)
    until(lambda: "waits" in supervised.notes)
    os.kill(supervised.process.pid, signal.SIGTSTP)
    until(lambda: state(supervised.process.pid) == state(supervised.driver) == "T")
    os.kill(supervised.process.pid, signal.SIGCONT)
    until(lambda: state(supervised.driver) != "T")
    os.write(ours, b"\x03")
    assert supervised.process.wait(30) == 130


def test_a_cursor_that_a_killed_driver_had_hidden_is_shown_again(supervised, terminal):
    ours, theirs = terminal
    there = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    assert supervised.start(["restarts 0", f"die {signal.SIGKILL:d}"], **there).process.wait(30) == 1
    assert b"\x1b[?25h" in os.read(ours, 4096)


def test_the_driver_hands_its_link_to_nobody(tmp_path):
    code = """
import os
from fullspectrum.search.process.link import VARIABLE, SupervisorLink
handed = int(os.environ[VARIABLE])
assert SupervisorLink.from_environment().connected
assert VARIABLE not in os.environ
assert not os.get_inheritable(handed)
"""
    supervise = "import sys; from fullspectrum.search.process.supervisor import supervise;"
    supervise += "sys.exit(supervise(sys.argv[1:], ''))"
    subprocess.run([sys.executable, "-c", supervise, sys.executable, "-c", code], check=True, timeout=60)


def test_the_supervisor_loads_neither_torch_nor_ray():
    code = """
import sys
import fullspectrum.search.cli, fullspectrum.search.process.link, fullspectrum.search.process.supervisor
print(sorted({"torch", "ray", "optuna", "mlflow", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


def descendants(pid: int) -> set[int]:
    """The processes that `pid` started, and those that they did."""
    children = {
        int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
    }
    return children.union(*map(descendants, children))


@pytest.mark.timeout(180)
def test_rays_processes_are_gone_after_a_driver_that_is_killed(tmp_path):
    code = """
import os, ray, time
from fullspectrum.clusters.connection import connect
with connect():
    ray.get(ray.remote(lambda: None).remote())
    print(os.getpid(), flush=True)
    time.sleep(1000)
"""
    supervise = "import sys; from fullspectrum.search.process.supervisor import supervise;"
    supervise += "sys.exit(supervise(sys.argv[1:], ''))"
    command = [sys.executable, "-c", supervise, sys.executable, "-c", code]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    driver = int(supervisor.stdout.readline())
    processes = descendants(driver)
    # Those of the head, and a worker.
    assert len(processes) >= 3
    os.kill(driver, signal.SIGKILL)
    assert supervisor.wait(60) == 1
    until(lambda: all(gone(pid) for pid in processes))
