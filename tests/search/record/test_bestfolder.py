"""The folder of a study's best mask."""

import json
import subprocess
import sys

import numpy as np
import pytest
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import initial_state
from fullspectrum.models.weights import load_state, save_state
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.record.bestfolder import BestFolder
from fullspectrum.search.sampling.distribution import MaskDistribution

from ..conftest import tiny_study

STUDY = tiny_study()


@pytest.fixture
def folder(tmp_path, network) -> StudyFolder:
    """A study of two trials, of which the first was trained in full."""
    folder, state = StudyFolder(tmp_path / STUDY.id), initial_state(network)
    metadata = {"model": "digits_cnn", "input": "[1, 8, 8]", "classes": "10"}
    for number in range(2):
        folder.trial(number).mkdir(parents=True)
        mask = np.zeros(state["fc2.weight"].shape, dtype=bool)
        mask[:, number] = True
        MaskSet({"fc2.weight": mask}, metadata).save(folder.trial(number) / "mask.safetensors")
    save_state(folder.initial_weights, state)
    save_state(folder.trial(0) / "end_weights.safetensors", state)
    return folder


def proposal(number: int) -> Proposal:
    return Proposal(number, 1, 2**62 + 1, MaskDistribution("snip", float("inf"), 0, {}))


def test_the_best_mask_takes_no_second_place_and_the_next_leaves_nothing_of_it(folder):
    best = BestFolder(STUDY, folder)
    names = [file.name for file in best.fill(proposal(0), {"accuracy/final": 0.5})]
    weights = ["mask.safetensors", "weights.safetensors", "end_weights.safetensors"]
    assert names == [*weights, "recipe.json", "load.py"]
    assert (folder.best / "mask.safetensors").samefile(folder.trial(0) / "mask.safetensors")
    assert (folder.best / "weights.safetensors").samefile(folder.initial_weights)

    names = [file.name for file in best.fill(proposal(1), {"accuracy/final": 0.75})]
    assert names == ["mask.safetensors", "weights.safetensors", "recipe.json", "load.py"]
    assert {path.name for path in folder.best.iterdir()} == set(names)
    assert MaskSet.load(folder.best / "mask.safetensors") == MaskSet.load(folder.trial(1) / "mask.safetensors")
    assert MaskSet.load(folder.trial(0) / "mask.safetensors")["fc2.weight"][0, 0]


def test_the_recipe_says_where_the_mask_comes_from_without_losing_a_digit(folder):
    BestFolder(STUDY, folder).fill(proposal(0), {"mask": "trial 0", "accuracy/final": 0.5, "spectral/l2": 3.5})
    recipe = json.loads((folder.best / "recipe.json").read_text())
    assert (recipe["study"], recipe["trial"]) == (STUDY.id, "trial 0")
    assert recipe["metrics"] == {"accuracy/final": 0.5, "spectral/l2": 3.5}
    assert recipe["params"]["seed"] == str(2**62 + 1)
    assert recipe["params"]["training.batch_size"] == 64
    assert recipe["versions"].keys() >= {"torch", "fullspectrum"}


def test_the_program_beside_it_loads_mask_and_weights(folder):
    BestFolder(STUDY, folder).fill(proposal(0), {})
    check = "import torch, sys\nassert float(model.fc2.weight.detach()[:, 1:].abs().sum()) == 0\nprint(masks.kept)"
    program = f"__file__ = {str(folder.best / 'load.py')!r}\n" + (folder.best / "load.py").read_text() + check
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == load_state(folder.initial_weights)["fc2.weight"].shape[0]
