"""The examples do what they say: the commands on their page run, and they keep the contracts of the package."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.testing import FormatContract
from fullspectrum.search.testing import SourceContract
from fullspectrum.spectral.testing import ScoreContract

from .pages import blocks, run

EXAMPLES = Path(__file__).parent.parent / "examples"


def _example(name: str) -> ModuleType:
    """Return the module of an example, imported once, as its objects are pickled by its name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class TestOutputMagnitude(SourceContract):
    @pytest.fixture
    def source(self):
        return _example("own_source").OutputMagnitude()


class TestWeakestLayer(ScoreContract):
    @pytest.fixture
    def score(self):
        return _example("own_score").WeakestLayer()


class TestKeptIndices(FormatContract):
    @pytest.fixture
    def format(self):
        return _example("own_format").KeptIndices()


@pytest.mark.timeout(300)
def test_the_commands_of_the_examples_run(tmp_path):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    for language, block in blocks(EXAMPLES / "README.md"):
        assert language == "sh"
        printed = [run(line, folder) for line in block.splitlines()]
    assert "weakest imdb" in printed[1]
    assert "5 layers pruned" in printed[4]
    assert "5 layers masked alike in 2 processes" in printed[5]
    assert "removed weights are zero after 5 steps" in printed[6]
    assert "sparsity 0.9000 after 5 steps" in printed[8]
    assert MaskSet.load(folder / "own.safetensors").metadata["source"] == "own_source:OutputMagnitude"
    kept = json.loads((folder / "best.json").read_text())
    best = MaskSet.load(folder / "best.safetensors")
    assert {name: len(entry["kept"]) for name, entry in kept.items()} == {n: int(m.sum()) for n, m in best.items()}
