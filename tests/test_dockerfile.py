"""The image can be built from what a checkout holds."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


def test_everything_that_is_copied_is_there_and_nothing_else_is_sent():
    sources = " ".join(COPY.findall((ROOT / "Dockerfile").read_text())).split()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for source in sources:
        assert any(name == source or name.startswith(source) for name in tracked), source
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(s.rstrip("/") for s in sources)
    assert "*" in lines


def test_the_image_has_the_python_and_the_extras_that_the_package_names():
    text = (ROOT / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (least,) = re.findall(r">=(3\.\d+)", project["requires-python"])
    assert set(re.findall(r"^FROM python:(\S+)-slim", text, re.MULTILINE)) == {least}
    (extras,) = re.findall(r"\$\{wheel\}\[([\w,]+)\]", text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_versions_of_the_image_are_constraints():
    # What pip refuses in a file of constraints: paths, and packages that are edited in place.
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", line)] == []
