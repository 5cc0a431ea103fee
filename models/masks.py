"""Mask sets: which weights of a network are kept, by parameter name.

Needs torch, numpy and safetensors only, so that any trainer can import it.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch.nn.utils import prune

from . import maskfile
from .errors import InputError, naming, nearest
from .files import write_atomically
from .maskfile import FORMAT_VERSION

__all__ = ["FORMAT_VERSION", "MaskSet", "apply", "check_fits", "matched_names", "plain_name"]

Model = TypeVar("Model", bound=torch.nn.Module)


class HasShape(Protocol):
    """Anything with a shape: a torch tensor, a numpy array, a parameter."""

    @property
    def shape(self) -> tuple[int, ...]: ...


class MaskSet(Mapping[str, np.ndarray]):
    """One boolean array per prunable parameter, keyed by the parameter's name, True = kept.

    `masks` maps names to numpy arrays or torch tensors of the parameter's shape, any dtype, values exactly 0 or 1;
    they are copied, kept in order, and read-only. `metadata` are strings saved along with them.
    Raises `InputError`, naming the parameter, for other values, an empty mapping or array, and unsafe names.
    """

    def __init__(self, masks: Mapping[str, object], metadata: Mapping[str, str] | None = None) -> None:
        if not masks:
            raise InputError("a mask set needs the mask of at least one parameter, but got none")
        self._masks = {_checked_name(name): _checked_mask(name, mask) for name, mask in masks.items()}
        self.metadata: dict[str, str] = _checked_metadata(metadata or {})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold equal masks under equal names; order and metadata do not count."""
        if not isinstance(other, MaskSet):
            return NotImplemented
        return self.keys() == other.keys() and all(np.array_equal(self[name], other[name]) for name in self)

    def __repr__(self) -> str:
        return f"MaskSet({len(self)} parameters, {self.kept} of {self.size} weights kept, sparsity {self.sparsity:.4f})"

    def __reduce__(self) -> tuple[Any, ...]:
        return MaskSet, (self._masks, self.metadata)

    @property
    def kept(self) -> int:
        """Number of weights kept."""
        return sum(int(np.count_nonzero(mask)) for mask in self._masks.values())

    @property
    def size(self) -> int:
        """Number of weights in all masked parameters."""
        return sum(mask.size for mask in self._masks.values())

    @property
    def sparsity(self) -> float:
        """Fraction of the masked parameters' weights removed, in [0, 1]."""
        return (self.size - self.kept) / self.size

    @property
    def layer_sparsity(self) -> dict[str, float]:
        """Fraction of weights removed, in [0, 1], by parameter name."""
        return {name: (mask.size - int(np.count_nonzero(mask))) / mask.size for name, mask in self._masks.items()}

    def digest(self) -> str:
        """Return 64 hex digits that depend on names, shapes and bits, and on neither order nor metadata."""
        return maskfile.digest(self._masks)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the mask file atomically, the same bytes in every process, and return its path.

        Raises `InputError` when `path` is a folder or a symbolic link, or lies in a folder that does not exist.
        """
        return write_atomically(path, maskfile.encode(self._masks, self.metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "MaskSet":
        """Read a mask file, trusting nothing in it: sizes, names, values and digest are checked.

        Raises `InputError`, naming the file, when it is missing, truncated, corrupted or something else.
        """
        masks, metadata = maskfile.decode(path)
        with naming(path):
            return cls(masks, metadata)


def check_fits(masks: MaskSet, parameters: Mapping[str, HasShape], *, complete: bool = False) -> MaskSet:
    """Return `masks` under the names of `parameters`, whatever wrapper (DataParallel, torch.compile) either came from.

    A prefix (`backbone.`) that all names of one side have, and none of the other, does not count either.
    `parameters` maps parameter names to anything with a `.shape`; those without a mask stay dense, unless `complete`.
    Raises `InputError` that lists every unexpected name and every other shape, and with `complete` every missing mask.
    """
    by_plain_name = _by_plain_name(parameters, "the model")
    given = _as_known(_by_plain_name(masks, "the mask set"), by_plain_name)
    problems = [
        f"unexpected {name}{nearest(name, by_plain_name)}".rstrip("?") for name in given if name not in by_plain_name
    ]
    for name in (name for name in given if name in by_plain_name):
        ours, theirs = masks[given[name]].shape, tuple(parameters[by_plain_name[name]].shape)
        if ours != theirs:
            problems.append(f"{name} has a mask of shape {ours} for weights of shape {theirs}")
    if complete:
        problems += [f"missing {name}" for name in by_plain_name if name not in given]
    if problems:
        raise InputError(f"the masks do not fit the model: {'; '.join(problems)}")
    return MaskSet({by_plain_name[name]: masks[given[name]] for name in given}, masks.metadata)


def matched_names(given: Mapping[str, object], known: Mapping[str, object]) -> dict[str, str]:
    """Return the name in `given` by that in `known`, of all that both have; wrappers and a prefix do not count."""
    ours = _by_plain_name(known, "the model")
    theirs = _as_known(_by_plain_name(given, "the file"), ours)
    return {ours[name]: theirs[name] for name in theirs if name in ours}


def apply(model: Model, masks: MaskSet) -> Model:
    """Mask the parameters of `model` in place as `torch.nn.utils.prune` does, and return it.

    Each masked parameter `<m>.weight` becomes the parameter `<m>.weight_orig` and the buffer `<m>.weight_mask`, in
    every layer that shares it; build the optimizer afterwards. Raises `InputError` when the masks do not fit, or the
    model is pruned already.
    """
    # Each name of a weight that layers share: the mask may have been made under any.
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if pruned := [name for name in parameters if name.endswith("_orig") and f"{name[:-5]}_mask" in model.state_dict()]:
        raise InputError(
            f"the model is pruned already ({', '.join(pruned)}); call torch.nn.utils.prune.remove on it first"
        )
    kept = {id(parameters[name]): torch.tensor(mask) for name, mask in check_fits(masks, parameters).items()}
    for module in model.modules():
        # By identity, because a weight that several layers share has one name and is masked in all of them.
        for leaf, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) in kept:
                prune.custom_from_mask(module, leaf, kept[id(parameter)].to(parameter.device))
    for module in model.modules():
        if any(_pruning_hooks(layer) for layer in module.children()):
            module.register_forward_pre_hook(_refresh_layers)
    return model


def _pruning_hooks(layer: torch.nn.Module) -> list[prune.BasePruningMethod]:
    return [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, prune.BasePruningMethod)]


def _refresh_layers(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    """Recompute the masked weights of a module's layers.

    torch.nn.utils.prune does so when the layer itself is called; attention reads its output projection without.
    """
    for layer in module.children():
        for hook in _pruning_hooks(layer):
            hook(layer, inputs)


def plain_name(name: str) -> str:
    """Return the name of a parameter without what DataParallel, DDP and torch.compile put into it."""
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    while len(parts) > 1 and parts[0] == "module":
        parts = parts[1:]
    return ".".join(parts)


def _by_plain_name(names: Mapping[str, object], owner: str) -> dict[str, str]:
    """Map each name without its wrappers' prefixes to the name as it stands."""
    result: dict[str, str] = {}
    for name in names:
        plain = plain_name(name)
        if plain in result:
            raise InputError(f"{owner} names {plain} twice: {result[plain]} and {name}")
        result[plain] = name
    return result


def _as_known(given: dict[str, str], known: Collection[str]) -> dict[str, str]:
    """Return `given` with a prefix taken from its keys, or put before them, where that makes all of them known ones.

    As it is where some are known already, and where several prefixes would do.
    """
    if any(name in known for name in given):
        return given
    first = next(iter(given))
    taken = [first[: place + 1] for place, character in enumerate(first) if character == "."]
    put = [name.removesuffix(first) for name in known if name.endswith(f".{first}")]
    renamed = [{name.removeprefix(prefix): each for name, each in given.items()} for prefix in taken]
    renamed += [{prefix + name: each for name, each in given.items()} for prefix in put]
    fitting = [names for names in renamed if len(names) == len(given) and all(name in known for name in names)]
    return fitting[0] if len(fitting) == 1 else given


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise InputError(f"a mask is keyed by its parameter's name, but got {name!r}")
    # A slash may stand in the name of a module, and no name ever becomes a path; two dots in a row stand in none.
    if not name.isprintable() or ".." in name or name == "__metadata__":
        raise InputError(f"{name!r} is not a parameter's name; expected one like 'layer1.0.conv1.weight'")
    return name


def _checked_mask(name: str, mask: object) -> np.ndarray:
    if isinstance(mask, torch.Tensor):
        # Through float64 because numpy knows neither bfloat16 nor the float8 types; 0 and 1 are exact in all of them.
        mask = mask.detach().cpu()
        mask = mask.numpy() if mask.dtype == torch.bool else mask.to(torch.float64).numpy()
    values = np.asarray(mask)
    if values.dtype.kind not in "biuf":
        raise InputError(f"the mask of {name} must be an array of 0 and 1, but has dtype {values.dtype}")
    if values.ndim < 1 or values.size < 1:
        raise InputError(f"the mask of {name} must have the parameter's shape, but has shape {values.shape}")
    if values.dtype != bool and (strange := values[(values != 0) & (values != 1)]).size:
        raise InputError(f"the mask of {name} must hold only 0 and 1, but holds {strange.flat[0]}")
    result = np.array(values, dtype=bool, order="C")
    result.flags.writeable = False
    return result


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InputError(f"mask metadata must be strings, but got {key!r}: {value!r}")
        if key in maskfile.RESERVED:
            raise InputError(f"the metadata key {key!r} belongs to the file format; use another one")
    return dict(metadata)
