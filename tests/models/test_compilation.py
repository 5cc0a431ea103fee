"""A compiled network trains as it is, under its own names; one that cannot be compiled is told in one line.

The compiler's front end is torch's own; what makes machine code stands in for itself, because it takes a minute.
"""

import copy
import functools
from dataclasses import replace

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.training import MaskedTraining, Recipe

RECIPE = Recipe(learning_rate=0.05, batch_size=64, ema=0.9, gradient_clip=1.0)


@pytest.fixture
def compiler(monkeypatch):
    """Replaces the back end of `torch.compile`; what was compiled before is forgotten, here and afterwards."""

    def install(backend) -> None:
        torch.compiler.reset()
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))

    yield install
    torch.compiler.reset()


def training(digits, masks, *, compiled: bool) -> MaskedTraining:
    recipe = replace(RECIPE, compile=compiled)
    return MaskedTraining(build("digits_cnn", digits.task, 0), masks, digits, recipe, 6, 0)


def test_it_is_trained_and_measured_as_the_plain_network_is(digits, random_masks, compiler):
    graphs = []
    compiler(lambda graph, inputs: graphs.append(graph) or graph)
    masks = random_masks(build("digits_cnn", digits.task, 0), sparsity=0.5)
    plain, compiled = (training(digits, masks, compiled=wanted) for wanted in (False, True))
    for iterations in (1, 5):
        assert compiled.run(iterations) == pytest.approx(plain.run(iterations), rel=1e-5)
        assert compiled.accuracy("val") == pytest.approx(plain.accuracy("val"), abs=2 / 359)
    assert graphs
    state, expected = compiled.state_dict()["model"], plain.state_dict()["model"]
    assert list(state) == list(expected)
    torch.testing.assert_close(state, expected, rtol=1e-4, atol=1e-5)
    for name, mask in masks.items():
        assert torch.count_nonzero(state[name][torch.tensor(~mask)]) == 0


def test_a_copy_of_a_network_is_not_compiled_again(digits, compiler):
    graphs = []
    compiler(lambda graph, inputs: graphs.append(graph) or graph)
    model = build("digits_cnn", digits.task, 0)
    for _ in range(3):
        MaskedTraining(copy.deepcopy(model), None, digits, replace(RECIPE, compile=True), 2, 0).run(2)
        assert len(graphs) == 1
    assert prunable(model)


def test_a_network_that_cannot_be_compiled_is_told_in_one_line(digits, compiler):
    def no_compiler(graph, inputs):
        raise RuntimeError("no working C++ compiler\nand more lines")

    compiler(no_compiler)
    with pytest.raises(InputError, match="DigitsCNN cannot be compiled here .*no working C.*compile = false") as caught:
        training(digits, None, compiled=True).run(1)
    assert "\n" not in str(caught.value)
