"""A mask file given on the command line, and the weights that it is for."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import nn

from ...models.cost import CostCounter, MaskCost, layer_cost, measure_latency
from ...models.data import Data
from ...models.errors import InputError
from ...models.formats import FORMATS, Found, read, recognise
from ...models.layers import layout, prunable
from ...models.layout import Layout
from ...models.masks import MaskSet, check_fits, matched_names
from ...models.networks import Task, build, default_task, initial_state
from ...models.placement import image_dtype
from ...models.weightless import build_weightless
from ...models.weights import init_digest, load_state
from ..config.pretraining import Pretraining
from ..config.study import Study
from ..console import aside, warn
from ..files import JsonObject
from ..guards.counter import PathCounter
from ..worker.pretraining import check_pretraining, pretrain


def load_masks(path: Path, model: str | None) -> Found:
    """Return the masks of a file, ours or another trainer's; warn where they remove nothing, which is easily missed.

    `model` names the layers where the file does not.
    """
    found = _read(path, model)
    if found.masks.sparsity == 0:
        warn(f"{path} removes no weight at all (sparsity 0)")
    _tell(path, found)
    return found


def load_trainable(path: Path) -> Found:
    """Return the masks of a file to train with. Raises InputError, naming a layer, where all or none are kept."""
    found = _read(path, None)
    masks = found.masks
    if masks.kept in (0, masks.size):
        what, way = ("no", "keeps some") if masks.kept == 0 else ("every", "prunes some")
        raise InputError(f"{path} keeps {what} weight, of {next(iter(masks))} as of all others; take a mask that {way}")
    _tell(path, found)
    return found


def masks_for(found: Found, network: nn.Module) -> MaskSet:
    """Return the masks under the names of the prunable weights of `network`. Raises InputError where they do not fit.

    Where the file names no layers, they are those of the network in its order.
    """
    masks = found.masks if found.named else FORMATS[found.format]().named(found.masks, network.state_dict())
    return check_fits(masks, prunable(network))


def parameters_of(model: str) -> dict[str, torch.Tensor]:
    """Return names and shapes of the parameters of a network, for its usual images. InputError: it has none."""
    task = default_task(model)
    if task is None:
        raise InputError(f'what "{model}" takes is known to its author alone; give its weights with --weights instead')
    return build_weightless(model, task).state_dict()


def given_weights(found: Found, weights: Path | None) -> dict[str, torch.Tensor] | None:
    """Return the weights of a file that was given, else those that came with another trainer's masks."""
    return load_state(weights) if weights is not None else found.state


def _read(path: Path, model: str | None) -> Found:
    format = recognise(path)
    if format == "fullspectrum":
        # Its metadata say which weights it is for.
        return Found(format, MaskSet.load(path), None, inferred=False, named=True, left_out=())
    found = read(path, format)
    return found if found.named or model is None else read(path, format, parameters_of(model))


def _tell(path: Path, found: Found) -> None:
    """Say what another trainer's file was taken for."""
    if found.format != "fullspectrum":
        weights = "" if found.state is None else "; its weights are taken unless others are given"
        aside(f"fullspectrum: {path}: {found.describe()}{weights}")


@overload
def weights_for(
    masks: MaskSet, given: dict[str, torch.Tensor] | None, model: str, seed: int | None, task: Task | None = None
) -> dict[str, torch.Tensor]: ...


@overload
def weights_for(
    masks: MaskSet, given: dict[str, torch.Tensor] | None, model: str | None, seed: int | None, task: Task | None = None
) -> dict[str, torch.Tensor] | None: ...


def weights_for(
    masks: MaskSet, given: dict[str, torch.Tensor] | None, model: str | None, seed: int | None, task: Task | None = None
) -> dict[str, torch.Tensor] | None:
    """Return the initial weights that `masks` are for: those given, of a network and seed, or of those they name.

    A network named only by the mask file is built where it is one of ours: a file never makes a user's function run.
    None where nothing names them. Raises InputError where the masks do not fit; warns where the weights are not those
    that the masks were made for.
    """
    if given is not None:
        state = given
    elif k := pretraining_of(masks):
        need = f"the masks are for the weights after {k} dense iterations, which are not given"
        if model is not None:
            raise InputError(f"{need}; give them with --weights: sample writes them beside the mask, export with it")
        warn(f"{need}; give them with --weights")
        return None
    else:
        named = model or masks.metadata.get("model", "")
        if not named or (model is None and not _is_ours(named)):
            return None
        task = task or _task(masks, named)
        if task is None:
            raise InputError(f"the mask file does not say what {named!r} takes; give the weights with --weights")
        if model is None:
            # A stranger's file names the sizes: they must be those of its masks before memory is taken for them.
            check_fits(masks, build_weightless(named, task).state_dict())
        state = initial_state(build(named, task, initial_seed(masks, seed)))
    check_fits(masks, state)
    _warn_of_others(masks, state)
    return state


def _warn_of_others(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> None:
    """Warn where the weights are not those that the masks were made for."""
    expected = masks.metadata.get("init_digest")
    if expected and expected != init_digest(state):
        warn(
            f"the masks were made for other weights (digest {expected[:12]}, these have {init_digest(state)[:12]}); "
            "check --seed, --weights or --pretraining"
        )


def weights_before(
    masks: MaskSet,
    found: Found,
    weights: Path | None,
    iterations: int | None,
    study: Study,
    network: nn.Module,
    images: Data,
) -> dict[str, torch.Tensor]:
    """Return the weights before so many dense iterations: of `network`, which is new; without, those of `weights_for`.

    They have the names of `network`. Raises InputError as `weights_for` does, for weights that are not those of the
    network, for both a file and iterations, and for more than the schedule has.
    """
    if not iterations:
        given = given_weights(found, weights)
        state = weights_for(masks, given, study.model, study.seed, images.task)
        return _of_network(state, network)
    if weights is not None:
        raise InputError("--weights and --pretraining both say what training starts from; give one of them")
    check_pretraining(study.model_copy(update={"pretraining": Pretraining(iterations=iterations)}), images)
    state = initial_state(network)
    check_fits(masks, state)
    return state


def _of_network(state: Mapping[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Return a state dict under the names of `network`. Raises InputError that lists whatever does not fit it."""
    own = network.state_dict()
    names = matched_names(state, own)
    problems = [f"missing {name}" for name in own if name not in names]
    problems += [f"unexpected {name}" for name in state if name not in names.values()]
    for name, theirs in names.items():
        if state[theirs].shape != own[name].shape:
            problems.append(f"{name} has shape {tuple(state[theirs].shape)}, not {tuple(own[name].shape)}")
    if problems:
        raise InputError(f"the weights are not those of the network: {'; '.join(problems)}")
    return {name: state[theirs] for name, theirs in names.items()}


def pretrained_for(
    masks: MaskSet, iterations: int | None, study: Study, network: nn.Module, images: Data, device: str
) -> dict[str, torch.Tensor]:
    """Return the weights that training under `masks` starts from, on the CPU: those of `network` without iterations.

    With, they are those that a copy of it comes to on `device` after so many dense ones with the study's recipe. Raises
    InputError where that diverges; warns where the weights are not those that the masks were made for.
    """
    if not iterations:
        return initial_state(network)
    ((_, state),) = pretrain(study, copy.deepcopy(network).to(device), images, [iterations], study.seed)
    _warn_of_others(masks, state)
    return state


def pretraining_of(masks: MaskSet) -> int:
    """Return the dense iterations before the masks of a file, 0 where it names none. InputError: it names no number."""
    text = masks.metadata.get("pretraining", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InputError(f"the mask file's pretraining is {text[:80]!r}, which is no number of iterations")
    return int(text)


def layout_for(masks: MaskSet, model: str | None) -> Layout:
    """Return how the weights under the masks lie on their axes, under the names of the masks.

    The network decides: `model`, or the one that the mask file names where it is one of ours. Where there is none, or
    its input is not known, the mask file decides. Raises InputError where the masks do not fit the network, or the file
    says what cannot be.
    """
    named, task = _network(masks, model)
    if task is None:
        return Layout.from_metadata(masks.metadata, masks)
    network = build_weightless(named, task)
    found, names = layout(network), _names(masks, network.state_dict())
    return Layout(
        {name: found.groups[theirs] for name, theirs in names.items() if theirs in found.groups},
        tuple(name for name, theirs in names.items() if theirs in found.inputs_first),
    )


def channels_for(masks: MaskSet, model: str | None) -> dict[str, tuple[int, int]]:
    """Return the inputs and outputs of each mask's layer that lie on a path, and all of them.

    The network is that of `layout_for`, which says whether the masks fit; what it has no mask for is kept whole. Empty
    where there is none, or torch cannot trace it.
    """
    named, task = _network(masks, model)
    if task is None:
        return {}
    network = build(named, task, 0)
    counter = PathCounter(network, task)
    if counter.estimated:
        return {}
    names = {theirs: name for name, theirs in _names(masks, network.state_dict()).items()}
    whole = {
        name: masks[names[name]] if name in names else np.ones(tuple(weight.shape), dtype=bool)
        for name, weight in prunable(network).items()
    }
    return {names[name]: count.live for name, count in counter.check(whole).channels.items() if name in names}


def cost_for(
    masks: MaskSet, model: str | None, weights: Mapping[str, torch.Tensor] | None, measure: bool
) -> JsonObject:
    """Return what the masks cost, with the latency where it is to be measured, as plain values.

    The network is that of `layout_for`. Where there is none, parameters and bytes are known alone, of the type of the
    `weights` under the masks, else of float32; where it fails on an image, neither operations nor latency.
    """
    named, task = _network(masks, model)
    if task is None:
        sizes = {name: weights[name].element_size() if weights else 4 for name in masks}
        cost = MaskCost({name: layer_cost(mask, sizes[name]) for name, mask in masks.items()})
        return {**cost.to_dict(), "latency": None}
    network = build(named, task, 0)
    names = _names(masks, network.state_dict())
    cost = CostCounter(network, task).cost({theirs: masks[name] for name, theirs in names.items()})
    cost = MaskCost({name: cost.layers[theirs] for name, theirs in names.items()}, cost.rest)
    latency = None
    if measure and cost.masked.flops is not None:
        image = torch.rand(1, task.channels, task.size, task.size).to(image_dtype(network))
        found = measure_latency(network, masks, image).to_dict()
        given = {theirs: name for name, theirs in names.items()}
        latency = {**found, "layers": {given.get(name, name): both for name, both in found["layers"].items()}}
    return {**cost.to_dict(), "latency": latency}


def under_names_of(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights under the masks, by the names of the masks, whatever wrapper (DataParallel) either came from.

    Raises InputError where the masks do not fit.
    """
    return {name: state[theirs] for name, theirs in _names(masks, state).items()}


def _names(masks: MaskSet, state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the name in `state` of the parameter of each mask."""
    return dict(zip(masks, check_fits(masks, state), strict=True))


def _network(masks: MaskSet, model: str | None) -> tuple[str, Task | None]:
    """Return the name and the task of the network that the masks are for; no task where it is not known.

    A file never makes a user's function run.
    """
    named = model or masks.metadata.get("model", "")
    return named, _task(masks, named) if model or _is_ours(named) else None


def _is_ours(model: str) -> bool:
    """Return whether building the network runs no code of anybody else's."""
    return default_task(model) is not None


def _task(masks: MaskSet, model: str) -> Task | None:
    """Return the task of the network: the mask file's, else the network's usual one; None where it has none."""
    try:
        channels, size, _ = (int(part) for part in masks.metadata["input"].strip("[]").split(","))
        return Task(channels, size, int(masks.metadata["classes"]))
    except (KeyError, ValueError):
        # A mask for a network of torchvision is as often one for other images than ImageNet's.
        return None if model.startswith("torchvision:") else default_task(model)


def initial_seed(masks: MaskSet, seed: int | None) -> int:
    """Return the seed of the initial weights: the one that is given, else the one of the mask file, else 0.

    Raises InputError where the file names something that is no seed.
    """
    if seed is not None:
        return seed
    text = masks.metadata.get("init_seed", "0")
    if not text.isascii() or not text.isdigit():
        raise InputError(f"the mask file's init_seed is {text!r}, which is no seed; give --seed")
    return int(text)
