"""README and docs do what they say: the blocks of a page are run in their order, as a new user would."""

import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from fullspectrum.search.config.help import describe_settings

from .pages import blocks, environment, run

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Pages whose links must lead somewhere, but whose commands are for developers.
TEXTS = [
    *PAGES,
    *sorted((ROOT / "docs" / "clusters").glob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
]
#: The first line of a block that is a file.
FILE = re.compile(r"# (\w+\.(?:py|toml))\n")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
#: A path of ours, as texts name it; `NAME` stands for a file that does not exist yet.
OURS = re.compile(r"`((?:search|models|spectral|clusters|tests|examples|docs)/(?!\S*NAME)(?:[\w/.]*/|[\w/.]+\.\w+)?)`")
BENCHMARK = re.compile(r"python -m (tests\.benchmarks\.\w+)")
#: The port of the MLflow UI that a test asks for a page.
PORT = 5917


class Reader:
    """Somebody who follows pages in one folder, and does not run a command again that was run there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}
        (folder / "examples").symlink_to(ROOT / "examples")

    def follow(self, page: Path) -> None:
        """Write the files of a page and run its commands, in their order."""
        for language, block in blocks(page):
            if language in ("python", "toml"):
                (self.folder / FILE.match(block)[1]).write_text(block)
            elif language == "sh":
                for line in block.splitlines():
                    self._once(line)
            else:
                assert language == "text"

    def _once(self, line: str) -> None:
        if line not in self.printed:
            self.printed[line] = self._run(line)

    def _run(self, line: str) -> str:
        if line == "make test":
            # These very tests.
            assert _made("test").endswith("python -m pytest -n 2 --no-loadscope-reorder")
            return ""
        if line == "fullspectrum ui":
            assert _made("ui") == line
            return _serve(line, self.folder)
        # Less of the same study, which takes minutes.
        less = "--set final.epochs=7 --set search.trials=3 --set search.rounds=2 --set search.round_iterations=5"
        return run(f"{_made('demo')} {less}" if line == "make demo" else line, self.folder)


def _made(target: str) -> str:
    """Return the last command that `make TARGET` runs, with the installed programs taken from the path."""
    # These tests may run under a make of their own, whose settings are not meant for this one.
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--dry-run", "--no-print-directory", target]
    made = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    return made.stdout.splitlines()[-1].replace(".venv/bin/", "")


def _serve(command: str, folder: Path) -> str:
    """Start a server, ask it for a page, and stop it by the process group that it was given; return the page."""
    server = subprocess.Popen(
        shlex.split(f"{command} --port {PORT}"), cwd=folder, env=environment(), start_new_session=True
    )
    try:
        for _ in range(240):
            assert server.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as page:
                    return page.read().decode()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        raise AssertionError(f"{command}: no page after two minutes")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    """Return the reader of all pages: pages share what a command made, and each runs by itself too."""
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(reader, page):
    reader.follow(page)
    if page.stem == "README":
        assert "best masks beside the baselines" in reader.printed["make demo"]
        assert "MLflow" in reader.printed["fullspectrum ui"]
        assert "5 layers pruned" in reader.printed["python examples/use_mask.py best.safetensors"]
        assert {path.name for path in reader.folder.iterdir()} >= {"runs", "best.pt", "best.safetensors"}


def test_the_page_of_settings_holds_what_the_command_prints():
    ((language, block),) = blocks(ROOT / "docs" / "settings.md")
    assert (language, block) == ("text", "".join(f"{line}\n" for line in describe_settings())), "run make docs"


def test_the_readme_is_read_in_one_go():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{text.parent.name}-{text.stem}")
def test_links_and_paths_lead_somewhere(text):
    content = text.read_text()
    links = [link for link in LINK.findall(content) if "://" not in link]
    assert [link for link in links if not (text.parent / link).exists()] == []
    assert [path for path in OURS.findall(content) if not (ROOT / path).exists()] == []
    modules = [module.replace(".", "/") for module in BENCHMARK.findall(content)]
    programs = [(f"{module}.py", f"{module}/__main__.py") for module in modules]
    assert [places for places in programs if not any((ROOT / place).exists() for place in places)] == []


def test_the_targets_that_the_texts_name_exist():
    targets = {target for text in TEXTS for target in re.findall(r"`make ([\w-]+)`", text.read_text())}
    assert targets
    for target in targets:
        _made(target)
