"""A mask file given on the command line, and the weights that it is for."""

from pathlib import Path

import torch

from ...models.errors import InputError
from ...models.layers import layout
from ...models.layout import Layout
from ...models.masks import MaskSet, check_fits
from ...models.networks import DEFAULT_TASKS, Task, build, initial_state
from ...models.weights import init_digest, load_state
from ..console import warn


def load_masks(path: Path) -> MaskSet:
    """Reads a mask file and says on stderr where it removes nothing: a dense mask passes unnoticed otherwise."""
    masks = MaskSet.load(path)
    if masks.sparsity == 0:
        warn(f"{path} removes no weight at all (sparsity 0)")
    return masks


def weights_for(
    masks: MaskSet, weights: Path | None, model: str | None, seed: int | None, task: Task | None = None
) -> dict[str, torch.Tensor] | None:
    """The initial weights that `masks` are for: of a file, of a network and seed, or of those that the masks name.

    A network named only by the mask file is built where it is one of ours: a file never makes a user's function run.
    None where nothing tells. Raises InputError where the masks do not fit; warns where the weights are not those that
    the masks were made for.
    """
    if weights is not None:
        state = load_state(weights)
    else:
        named = model or masks.metadata.get("model", "")
        if not named or (model is None and not _is_ours(named)):
            return None
        task = task or _task(masks, named)
        if model is None:
            # A stranger's file names the sizes: they must be those of its masks before memory is taken for them.
            with torch.device("meta"):
                check_fits(masks, build(named, task, 0).state_dict())
        state = initial_state(build(named, task, initial_seed(masks, seed)))
    check_fits(masks, state)
    expected = masks.metadata.get("init_digest")
    if expected and expected != init_digest(state):
        warn(
            f"the masks were made for other initial weights (digest {expected[:12]}, "
            f"these have {init_digest(state)[:12]}); check --seed or --weights"
        )
    return state


def layout_for(masks: MaskSet, model: str | None) -> Layout:
    """How the weights under the masks lie on their axes: as the network `model` says, else as the mask file does.

    Raises InputError where the masks do not fit the network, or the file says what cannot be.
    """
    if model is None:
        return Layout.from_metadata(masks.metadata, masks)
    # Without memory for the weights; a user's function may need them.
    with torch.device("meta" if _is_ours(model) else "cpu"):
        network = build(model, _task(masks, model), 0)
    check_fits(masks, network.state_dict())
    return layout(network).only(masks)


def _is_ours(model: str) -> bool:
    """Whether building the network runs no code of anybody else's."""
    return model in DEFAULT_TASKS or model.startswith("torchvision:")


def _task(masks: MaskSet, model: str) -> Task:
    """What the network takes: as the mask file says, else the network's usual task."""
    try:
        channels, size, _ = (int(part) for part in masks.metadata["input"].strip("[]").split(","))
        return Task(channels, size, int(masks.metadata["classes"]))
    except (KeyError, ValueError):
        if model in DEFAULT_TASKS:
            return DEFAULT_TASKS[model]
        raise InputError(f"the mask file does not say what {model!r} takes; give the weights with --weights") from None


def initial_seed(masks: MaskSet, seed: int | None) -> int:
    """The seed of the initial weights: the one that is given, else the one that the mask file names, else 0.

    Raises InputError where the file names something that is no seed.
    """
    if seed is not None:
        return seed
    text = masks.metadata.get("init_seed", "0")
    if not text.isascii() or not text.isdigit():
        raise InputError(f"the mask file's init_seed is {text!r}, which is no seed; give --seed")
    return int(text)
