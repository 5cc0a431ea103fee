"""The README does what it says: its blocks are run in their order, as a new user would."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Blocks of these languages that begin with `# NAME.EXT` are files.
FILE = re.compile(r"# ([\w/]+\.(?:py|toml))\n")


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if key != "FULLSPECTRUM_HOME"}
    return {**kept, "PATH": path, "COLUMNS": "100"}


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _made(target: str) -> str:
    """The last command that `make TARGET` runs, with the installed programs taken from the path."""
    # These tests may run under a make of their own, whose settings are not meant for this one.
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--dry-run", "--no-print-directory", target]
    made = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    return made.stdout.splitlines()[-1].replace(".venv/bin/", "")


def _serves(command: str, folder: Path) -> None:
    """Starts a server, asks it for a page, and stops it by the process group that it was given."""
    port = 5917
    server = subprocess.Popen(
        shlex.split(f"{command} --port {port}"), cwd=folder, env=_environment(), start_new_session=True
    )
    try:
        for _ in range(240):
            assert server.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert b"MLflow" in page.read()
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        raise AssertionError(f"{command}: no page after two minutes")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.mark.timeout(900)
def test_every_block_of_the_readme_runs(tmp_path):
    printed = {}
    for language, block in BLOCK.findall((ROOT / "README.md").read_text()):
        named = FILE.match(block)
        if language in ("python", "toml") and named and "/" not in named[1]:
            (tmp_path / named[1]).write_text(block)
        elif language == "sh":
            for line in block.splitlines():
                if line == "make test":
                    # These very tests.
                    assert _made("test") == "python -m pytest"
                elif line == "fullspectrum ui":
                    assert _made("ui") == line
                    _serves(line, tmp_path)
                else:
                    command = _made("demo") if line == "make demo" else line
                    printed[line] = _run(command, tmp_path)
    assert "best masks beside the baselines" in printed["make demo"]
    assert "5.0 layers pruned" in printed["python use_mask.py"]
    assert {path.name for path in tmp_path.iterdir()} >= {"runs", "best.pt", "best.safetensors", "mine.safetensors"}


def test_the_readmes_new_source_is_a_source():
    from fullspectrum.models.data import load
    from fullspectrum.models.layers import prunable
    from fullspectrum.models.networks import build
    from fullspectrum.search.sources import Setting, Source

    blocks = [block for language, block in BLOCK.findall((ROOT / "README.md").read_text()) if language == "python"]
    (code,) = [block for block in blocks if block.startswith("# sources/example.py")]
    namespace = {"Source": Source}
    exec(code, namespace)  # noqa: S102 - the README's own code
    data = load("digits")
    model = build("digits_cnn", data.task, 0)
    scores = namespace["Example"]().scores(Setting(model, data, 1000), 0)
    assert {name: score.shape for name, score in scores.items()} == {
        n: tuple(w.shape) for n, w in prunable(model).items()
    }
