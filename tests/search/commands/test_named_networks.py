"""Networks that a mask file names: built where no code of anybody else's runs."""

import sys

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import layout, prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import Task, build, default_task
from fullspectrum.search.commands.masks import layout_for, weights_for


def dense_masks(name: str, task: Task | None = None) -> MaskSet:
    """Dense masks that say nothing but the name of their network, and its task where one is given."""
    with torch.device("meta"):
        weights = prunable(build(name, task or default_task(name), 0))
    said = {"input": str([task.channels, task.size, task.size]), "classes": str(task.classes)} if task else {}
    return MaskSet({key: np.ones(weight.shape, bool) for key, weight in weights.items()}, {"model": name} | said)


@pytest.mark.parametrize("name", ["wrn-28-1", "lenet-300-100", "resnet32"])
def test_a_network_of_ours_is_built_for_its_usual_task(name):
    state = weights_for(dense_masks(name), None, None, None)
    expected = build(name, default_task(name), 0).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_a_regnet_is_built_whose_constructor_needs_memory():
    task = Task(3, 32, 10)
    masks = dense_masks("torchvision:regnet_x_400mf", task)
    found = layout(build("torchvision:regnet_x_400mf", task, 0))
    assert found.groups and layout_for(masks, None) == found


def test_a_name_that_no_network_has_is_told():
    masks = MaskSet(dense_masks("wrn-28-1"), {"model": "wrn-28-x"})
    with pytest.raises(InputError, match="after wrn-28- stands the widening factor"):
        weights_for(masks, None, None, None)


def test_a_users_network_never_runs_because_a_file_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "never_imported.py").write_text("raise SystemExit")
    for name in ("never_imported:network", "wrn-28:network", "torchvisions:network"):
        masks = MaskSet(dense_masks("wrn-28-1"), {"model": name})
        assert weights_for(masks, None, None, None) is None
    assert "never_imported" not in sys.modules
