"""Networks without memory for their weights."""

import subprocess
import sys

import pytest
import torch
from fullspectrum.models.architectures.registry import NETWORKS, default_task
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import adaptations, build
from fullspectrum.models.task import Task
from fullspectrum.models.weightless import build_weightless


@pytest.mark.parametrize("name", [*NETWORKS, "wrn-28-2", "torchvision:resnet18", "torchvision:regnet_y_400mf"])
def test_it_has_the_names_shapes_and_types_of_the_network_and_no_values(name):
    task = Task(channels=3, size=32, classes=10) if name.startswith("torchvision:") else default_task(name)
    state, weightless = build(name, task, 0).state_dict(), build_weightless(name, task)
    found = weightless.state_dict()
    assert [(n, t.shape, t.dtype) for n, t in found.items()] == [(n, t.shape, t.dtype) for n, t in state.items()]
    assert all(parameter.is_meta for parameter in weightless.parameters())
    assert adaptations(weightless) == adaptations(build(name, task, 0))


def test_what_is_drawn_afterwards_is_drawn():
    build_weightless("lenet-300-100", default_task("lenet-300-100"))
    assert torch.empty(3).normal_(generator=torch.Generator().manual_seed(0)).unique().numel() == 3


def test_an_unknown_network_is_refused():
    with pytest.raises(InputError, match='unknown model "lenet"'):
        build_weightless("lenet", Task(1, 28, 10))


def test_torch_need_not_import_its_compiler():
    code = (
        "import sys; from fullspectrum.models.task import Task\n"
        "from fullspectrum.models.weightless import build_weightless\n"
        "build_weightless('resnet20', Task(3, 32, 10))\n"
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
