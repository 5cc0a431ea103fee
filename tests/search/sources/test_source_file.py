"""Warm start from a mask file: the mask comes back, is drawn around, and is checked before anything runs."""

import json
import math

import numpy as np
import pytest
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.search.cli import main
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sampling.draw import sample
from fullspectrum.search.sources import Setting, source_called
from fullspectrum.search.worker.workbench import Workbench
from torch import nn

from ..conftest import run_tiny

SAMPLE = ["sample", "--model", "digits_cnn", "--data", "digits", "--sparsity", "0.98"]


def random_masks(network: nn.Module, sparsity: float = 0.98, seed: int = 0, **layers: np.ndarray) -> MaskSet:
    """Uniform random masks, but `layers` (by the name of the layer) as given."""
    generator = np.random.default_rng(seed)
    masks = {n: generator.random(tuple(w.shape)) >= sparsity for n, w in prunable(network).items()}
    return MaskSet(masks | {f"{name}.weight": mask for name, mask in layers.items()})


def scores_of(masks: MaskSet, network: nn.Module, data: Data, path, seed: int = 0) -> dict[str, np.ndarray]:
    made = source_called(f"file:{masks.save(path)}")
    made.check(given := Setting(network, data, masks.kept))
    return made.scores(given, seed)


def counts(masks: MaskSet) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


@pytest.mark.parametrize("allocation", ["erk", "global"])
def test_sampling_at_the_files_own_sparsity_gives_the_mask_back(allocation, tmp_path, capsys):
    start, again = tmp_path / "start.safetensors", tmp_path / "again.safetensors"
    assert main([*SAMPLE, "--source", "random", "--allocation", allocation, "--seed", "3", "-o", str(start)]) == 0
    arguments = ["--source", f"file:{start}", "--allocation", allocation, "-o", str(again)]
    assert main([*SAMPLE, *arguments]) == 0
    assert MaskSet.load(again) == MaskSet.load(start)
    assert MaskSet.load(again).metadata["start_digest"] == MaskSet.load(start).digest()


@pytest.mark.parametrize("sparsity", [0.5, 0.1])
def test_a_mask_that_keeps_most_comes_back_too(sparsity, network, digits, tmp_path):
    masks = random_masks(network, sparsity)
    scores = scores_of(masks, network, digits, tmp_path / "mask")
    assert MaskSet(sample(scores, counts(masks), 0.0, 0)) == masks


def test_a_temperature_of_one_swaps_about_half_and_a_low_one_little(network, digits, tmp_path):
    masks = random_masks(network)
    scores = scores_of(masks, network, digits, tmp_path / "mask")
    name = "fc1.weight"
    size, kept = masks[name].size, counts(masks)[name]

    def stays(temperature: float) -> float:
        drawn = sample({name: scores[name]}, {name: kept}, temperature, 0)[name]
        return (drawn & masks[name]).sum() / kept

    # Drawing without replacement is a race of exponential clocks of rates 1 and r (Efraimidis and Spirakis, 2006): by
    # the time t at which as many as are kept have rung, 1 - exp(-t) of the kept ones have.
    rate = (kept + 1) / (size + 1)
    low, high = 0.0, 10.0
    for _ in range(60):
        time = (low + high) / 2
        rung = kept * -math.expm1(-time) + (size - kept) * -math.expm1(-rate * time)
        low, high = (time, high) if rung < kept else (low, time)
    # Five standard deviations of independent clocks.
    assert abs(stays(1.0) + math.expm1(-time)) < 5 * math.sqrt(0.25 / kept)
    assert 0.4 < stays(1.0) < 0.6
    assert stays(0.1) > 0.999
    assert stays(1e-3) == 1.0


def test_another_budget_is_cut_within_the_mask_or_around_it_and_not_by_index(network, digits, tmp_path):
    masks = random_masks(network)
    name = "fc1.weight"
    mask, kept = masks[name].ravel(), counts(masks)[name]
    drawn = []
    for seed in (0, 1):
        scores = scores_of(masks, network, digits, tmp_path / "mask", seed)
        fewer, more = (sample(scores, {name: n}, 0.0, 0)[name].ravel() for n in (kept // 2, 2 * kept))
        assert not (fewer & ~mask).any() and not (mask & ~more).any()
        # A uniform draw of half of the kept weights: the mean of their positions in [0, 1], five standard deviations.
        positions = np.flatnonzero(fewer[mask]) / kept
        assert abs(positions.mean() - 0.5) < 5 * math.sqrt(1 / 12 / len(positions))
        drawn.append(fewer)
    assert not np.array_equal(*drawn)


def test_layers_that_are_empty_or_full_or_not_in_the_file_have_scores_to_draw_from(network, digits, tmp_path):
    empty, full = np.zeros((64, 32, 3, 3)), np.ones((10, 200))
    masks = random_masks(network, conv2=empty, fc2=full)
    some = MaskSet({name: mask for name, mask in masks.items() if name != "conv1.weight"})
    scores = scores_of(some, network, digits, tmp_path / "mask")
    assert ((scores["conv2.weight"] > 0) & (scores["conv2.weight"] < 1)).all()
    for name in ("fc2.weight", "conv1.weight"):
        assert (scores[name] >= 1).all()
    for values in scores.values():
        assert values.max() <= 1 + 1e-6
        # No two alike, so that no index decides.
        assert len(np.unique(values)) > 0.99 * values.size


def test_it_goes_on_without_the_file_in_another_folder(network, digits, tmp_path, monkeypatch):
    masks = random_masks(network)
    monkeypatch.chdir(tmp_path)
    masks.save("mask")
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": {"sources": ["file:mask"]}})
    here = Workbench(study, network, digits)
    (tmp_path / "mask").unlink()
    monkeypatch.chdir("/")
    there = Workbench(study, network, digits, here.sources)
    assert there.draw(MaskDistribution("file:mask", 0.0, 0, {}), counts(masks), 0) == masks


def test_a_parameter_that_is_kept_whole_may_have_a_mask_in_the_file(network, digits, tmp_path):
    masks = random_masks(network)
    search = {"sources": [f"file:{masks.save(tmp_path / 'mask')}"], "keep_dense": ["conv1"]}
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": search})
    scores = Workbench(study, network, digits).scores(MaskDistribution(study.search.sources[0], 0.0, 0, {}))
    assert "conv1.weight" not in scores and len(scores) == 4


class TestMistakes:
    """One line that names the file, before anything is drawn."""

    @pytest.fixture
    def file(self, network, tmp_path):
        return random_masks(network).save(tmp_path / "mask.safetensors")

    def complaint(self, capsys, path, *arguments: str) -> str:
        sampled = path.parent / "sampled"
        status = main([*SAMPLE, "--source", f"file:{path}", *arguments, "-o", str(sampled)])
        lines = capsys.readouterr().err.splitlines()
        assert (status, len(lines), sampled.exists()) == (2, 1, False)
        assert lines[0].startswith(f"fullspectrum: {path}")
        return lines[0]

    def test_a_missing_file(self, tmp_path, capsys):
        self.complaint(capsys, tmp_path / "nosuch.safetensors")

    def test_a_corrupted_file(self, file, capsys):
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
        assert "corrupted" in self.complaint(capsys, file)

    def test_masks_of_another_network(self, network, tmp_path, capsys):
        masks = random_masks(network, fc3=np.ones((2, 2)), fc2=np.ones((10, 100)))
        line = self.complaint(capsys, masks.save(tmp_path / "foreign.safetensors"))
        assert "unexpected fc3.weight" in line
        assert "fc2.weight has a mask of shape (10, 100) for weights of shape (10, 200)" in line

    def test_no_path(self, capsys):
        assert main([*SAMPLE, "--source", "file:", "-o", "nowhere"]) == 2
        assert 'did you mean "file:PATH"?' in capsys.readouterr().err

    def test_a_study_ends_before_its_first_trial(self, tmp_path):
        with pytest.raises(InputError, match="nosuch"):
            run_tiny(tmp_path / "runs", f"search.sources=['file:{tmp_path / 'nosuch'}']")
        assert not list(tmp_path.glob("runs/*/trials"))


@pytest.mark.timeout(300)
def test_a_study_starts_from_the_file_and_goes_on_only_from_the_same(network, tmp_path):
    path = tmp_path / "start.safetensors"
    masks = random_masks(network)
    masks.save(path)
    settings = [f"search.sources=['file:{path}']", "warmup.iterations=0", "final.top_k=0", "search.trials=1"]
    result = run_tiny(tmp_path / "runs", *settings)
    assert [trial.distribution.source for trial in result.trials] == [f"file:{path}"]
    drawn = MaskSet.load(result.folder.trial(0) / "mask.safetensors")
    assert drawn.metadata["start_digest"] == masks.digest()
    recorded = json.loads((result.folder.path / "sources.json").read_text())
    assert recorded == {f"file:{path}": {"start_digest": masks.digest()}}

    other = random_masks(network, seed=1)
    other.save(path)
    with pytest.raises(InputError, match=f"{masks.digest()[:12]} then, start_digest {other.digest()[:12]} now"):
        run_tiny(tmp_path / "runs", *settings, resume=True)
