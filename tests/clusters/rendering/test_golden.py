"""What is rendered of the bundled clusters, letter by letter.

`REWRITE_GOLDEN=1 python -m pytest tests/clusters/rendering/test_golden.py` writes the files of `tests/clusters/golden/`
anew; look at what `git diff` then shows.
"""

import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from fullspectrum.clusters.rendering import render
from fullspectrum.clusters.spec.reading import load_cluster

from ..jobs import a_job

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("local", None),
        ("static", None),
        ("aws", None),
        ("gcp", None),
        ("kuberay", None),
        ("aws", "skypilot"),
        ("gcp", "skypilot"),
    ],
)
def test_a_bundled_cluster_is_rendered_as_ever(name, target, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    text = str(render(load_cluster(name), a_job(tmp_path / "job"), target))
    text = text.replace(str(tmp_path), "/tmp/launched").replace(version("ray"), "RAY.VERSION")
    # What zlib makes of the files depends on its version.
    text = re.sub(r"(?m)^  [A-Za-z0-9+/=]{20,100}\n", "", text)
    golden = GOLDEN / f"{name}{'-' + target if target else ''}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
