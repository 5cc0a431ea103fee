"""The pages of clusters say what can be done: files are read, and commands run as far as they can be here."""

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from fullspectrum.clusters.spec.help import describe_settings
from fullspectrum.search.cli import app, main
from typer.main import get_command

from .pages import blocks

ROOT = Path(__file__).parent.parent
CLUSTERS = ROOT / "docs" / "clusters"
#: The first line of a block that is a file.
FILE = re.compile(r"# (\w+\.toml)\n")


def run(*arguments: str) -> str:
    """What a command prints on stdout."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(list(arguments)) == 0, arguments
    return printed.getvalue()


def follow(line: str, folder: Path) -> None:
    """Run a command of ours: what would start something with --dry-run, what asks a cluster not at all."""
    words, _, target = line.partition(" > ")
    _, *arguments = shlex.split(words)
    if arguments[0] == "launch":
        printed = run(*arguments, *([] if "--dry-run" in arguments else ["--dry-run"]))
    elif arguments[:2] in (["clusters", "new"], ["clusters", "services"]):
        printed = run(*arguments)
    else:
        # Its arguments are those that it takes.
        command = get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0)]
        command.make_context(command.name, arguments)
        return
    if target:
        (folder / target).write_text(printed)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", ["aws", "gcp", "static", "kuberay", "slurm", "services"])
def test_a_page_says_what_can_be_done(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for language, block in blocks(CLUSTERS / f"{page}.md"):
        if language == "toml":
            (name,) = FILE.match(block).groups()
            if name == "more.toml":
                # It is added to the file that is there.
                block = Path("my.toml").read_text() + block
                name = "my.toml"
            Path(name).write_text(block)
            assert run("launch", name, "digits", "--dry-run")
        elif language == "sh":
            subprocess.run(["bash", "-n"], input=block, text=True, check=True)
            for line in block.splitlines():
                if line.startswith("fullspectrum "):
                    follow(line, tmp_path)
        else:
            assert language == "yaml"


def test_the_page_of_settings_holds_what_the_command_prints():
    (text,) = (block for language, block in blocks(ROOT / "docs" / "clusters.md") if language == "text")
    assert text == "".join(f"{line}\n" for line in describe_settings()), "run make docs"
    assert run("clusters", "new", "--list-settings") == text


def test_a_kind_that_is_missing_or_unknown_is_one_line(capsys):
    assert main(["clusters", "new"]) == 2
    assert "a kind of cluster is missing: aws, gcp, kuberay, local, slurm, static" in capsys.readouterr().err
    assert main(["clusters", "new", "kubray"]) == 2
    assert "unknown cluster 'kubray', did you mean \"kuberay\"?" in capsys.readouterr().err
