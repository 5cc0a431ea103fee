"""What every file format promises."""

import ast
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from ..errors import InputError
from ..formats import Format
from ..formats.state_dict import zeroed
from ..masks import MaskSet

#: The state dict of a small network: a convolution, running statistics with a counter, and a linear layer.
SHAPES = {
    "conv.weight": (4, 2, 3, 3),
    "bn.weight": (4,),
    "bn.running_mean": (4,),
    "fc.weight": (3, 16),
    "fc.bias": (3,),
}


class FormatContract:
    """The suite of a `Format`: inherit it in a class called `Test…` and override the fixture `format`.

    Override `file_name` where the format asks for an extension.
    """

    file_name = "best"

    @pytest.fixture
    def format(self) -> Format:
        """Return the format under test."""
        raise NotImplementedError

    @pytest.fixture
    def state(self) -> dict[str, torch.Tensor]:
        """Return the initial weights: one exactly 0, so that a mask cannot be inferred from them."""
        generator = torch.Generator().manual_seed(0)
        state = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
        state["bn.num_batches_tracked"] = torch.tensor(7)
        state["fc.weight"][0, 0] = 0
        return state

    @pytest.fixture
    def masks(self, state: dict[str, torch.Tensor]) -> MaskSet:
        """Return masks of half the weights, that of 0 among the kept ones."""
        generator = torch.Generator().manual_seed(1)
        masks = {
            name: torch.rand(state[name].shape, generator=generator) < 0.5 for name in ("conv.weight", "fc.weight")
        }
        masks["fc.weight"][0, 0] = True
        return MaskSet(masks)

    @pytest.fixture
    def kept(self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the weights as the format keeps them: with zeros in place of what is removed, where it does that."""
        return zeroed(masks, state) if format.zeroes_removed else state

    @pytest.fixture
    def saved(self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
        """Return the path that masks and weights were saved to."""
        format.save(tmp_path / self.file_name, masks, state)
        return tmp_path / self.file_name

    def test_it_is_described_in_one_line(self, format: Format) -> None:
        assert format.description and "\n" not in format.description

    def test_it_returns_the_files_that_it_wrote(
        self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        written = format.save(tmp_path / self.file_name, masks, state)
        assert written[0] == tmp_path / self.file_name
        assert sorted(tmp_path.iterdir()) == sorted(written)

    def test_masks_come_back_as_they_were(
        self, format: Format, masks: MaskSet, kept: dict[str, torch.Tensor], saved: Path
    ) -> None:
        loaded = format.named(format.load(saved)[0], kept)
        expected = MaskSet({name: kept[name] != 0 for name in masks}) if format.infers_masks else masks
        assert loaded == expected and list(loaded) == list(masks)

    def test_weights_come_back_bit_for_bit_where_they_are_saved(
        self, format: Format, kept: dict[str, torch.Tensor], saved: Path
    ) -> None:
        _, loaded = format.load(saved)
        if loaded is not None:
            assert {name: tensor.dtype for name, tensor in loaded.items()} == {n: t.dtype for n, t in kept.items()}
            assert all(torch.equal(tensor, kept[name]) for name, tensor in loaded.items())

    def test_masks_alone_come_back_without_weights(self, format: Format, masks: MaskSet, tmp_path: Path) -> None:
        if not format.needs_weights:
            format.save(tmp_path / self.file_name, masks, None)
            loaded, weights = format.load(tmp_path / self.file_name)
            assert loaded == masks and weights is None

    @pytest.mark.parametrize("file", ["best", 'it\'s "best"\n$file'])
    @pytest.mark.parametrize("weights", [False, True])
    def test_the_snippet_is_a_program_with_a_function_that_loads(
        self, format: Format, weights: bool, file: str, tmp_path: Path
    ) -> None:
        tree = ast.parse(format.snippet(tmp_path / file, f"module:{file}", weights=weights, strict=True))
        assert "load" in [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]
        assert file in [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)]

    def test_a_weight_under_two_names_comes_back_under_both_and_is_masked_once(
        self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        # Before the name of the mask in any order.
        tied = {"again": state["fc.weight"], **state}
        format.save(tmp_path / self.file_name, masks, tied)
        loaded, weights = format.load(tmp_path / self.file_name)
        loaded = format.named(loaded, tied)
        assert loaded.keys() == masks.keys() and (format.infers_masks or loaded == masks)
        if weights is not None:
            assert weights.keys() == tied.keys() and weights["again"] is weights["fc.weight"]

    def test_equal_content_makes_equal_bytes(
        self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor], saved: Path
    ) -> None:
        once = saved.read_bytes()
        format.save(saved, masks, state)
        assert saved.read_bytes() == once

    def test_a_symbolic_link_and_a_missing_folder_are_refused(
        self, format: Format, masks: MaskSet, state: dict[str, torch.Tensor], tmp_path: Path
    ) -> None:
        (tmp_path / self.file_name).symlink_to(tmp_path / "target")
        for path in (tmp_path / self.file_name, tmp_path / "absent" / self.file_name):
            _refused(partial(format.save, path, masks, state), path)
        assert os.listdir(tmp_path) == [self.file_name]

    def test_a_file_that_is_missing_or_a_folder_is_refused(self, format: Format, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        for path in (tmp_path / "missing", tmp_path / "folder"):
            _refused(partial(format.load, path), path)

    @pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PK\x03\x04 no archive", b"{}", b"\x80\x02."])
    def test_what_is_no_file_of_the_format_is_refused(self, format: Format, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / self.file_name
        path.write_bytes(content)
        _refused(partial(format.load, path), path)

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
    def test_a_truncated_file_is_refused(self, format: Format, saved: Path, part: float) -> None:
        content = saved.read_bytes()
        saved.write_bytes(content[: int(part * len(content))])
        _refused(partial(format.load, saved), saved)


def _refused(attempt: Callable[[], object], path: Path) -> None:
    """Assert that an attempt ends with one clear line that names the path."""
    with pytest.raises(InputError) as caught:
        attempt()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
