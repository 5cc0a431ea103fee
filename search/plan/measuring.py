"""A few trials of a study, run here one after the other without Ray, to see how long their parts take."""

import copy
import json
import time
from collections.abc import Sequence

import torch

from ...models.errors import InputError
from ...models.masks import MaskSet
from ...models.seeds import derive
from ...models.training import Diverged, MaskedTraining
from ..protocol.proposal import Proposal
from ..worker.candidate import Candidate, better
from ..worker.device import claim_device
from ..worker.workbench import Workbench
from .times import Times

#: Steps before the clock runs: the first ones allocate memory and choose algorithms.
_WARMING = 5

#: Steps that are timed at a time, and seconds after which enough were.
_PIECE, _ENOUGH = 10, 3.0


def measured(workbench: Workbench, proposals: Sequence[Proposal], count: int) -> Times:
    """Return what the first `count` proposals take here, at the initial weights, with a short warm-up each.

    On a GPU where the study asks for one and there is one, else on as many cores of the CPU as a trial has. Those of a
    source that trains are left out: its rounds are reckoned by their steps. Raises InputError where no candidate could
    be scored.
    """
    workbench, device = _placed(workbench)
    chosen = [one for one in proposals if not workbench.source(one.distribution.source).trains][:count]
    if not chosen:
        raise InputError(
            "every source of this study trains, and nothing of it can be measured in short; give a study that has run "
            "with --trials-from"
        )
    scoring: dict[str, list[float]] = {}
    iterations, validations, sizes = [], [], []
    for proposal in chosen:
        begun, best, rows = time.perf_counter(), None, []
        for candidate in workbench.candidates(proposal.distribution, proposal.seed, proposal.ranking):
            rows.append(candidate.row())
            best = better(best, candidate)
        scoring.setdefault(proposal.distribution.source, []).append(time.perf_counter() - begun)
        if best is None:
            continue
        sizes.append(len(json.dumps(rows, default=str)) + sum(mask.size for mask in best.masks.values()) / 8)
        steps, measured = _train(workbench, proposal, best, device)
        iterations.append(steps)
        validations.append(measured)
    if not iterations:
        raise InputError(f"the guard rejected the candidates of all {len(chosen)} trials; measure more with --measure")
    where = "CPU" if device == "cpu" else "GPU"
    origin = f"{len(chosen)} trials on this machine's {where}"
    return Times(scoring, _mean(iterations), _mean(validations), _mean(sizes), origin)


def _placed(workbench: Workbench) -> tuple[Workbench, str]:
    study = workbench.study
    here = study.resources if torch.cuda.is_available() else study.resources.on_cpu
    device = claim_device(here)
    if device == "cpu":
        return workbench, device
    model, data = workbench.model.to(device), workbench.data.to(device)
    return Workbench(study, model, data, workbench.sources), device


def _train(workbench: Workbench, proposal: Proposal, best: Candidate, device: str) -> tuple[float, float]:
    """Return the seconds of a step, and of a measurement."""
    study = workbench.study
    training = MaskedTraining(
        copy.deepcopy(workbench.model),
        MaskSet(best.masks),
        workbench.data,
        study.training.recipe(dict(proposal.training)),
        max(study.warmup.iterations, 10_000),
        derive(study.seed, "warm-up"),
        device,
    )
    try:
        training.run(_WARMING)
        begun, steps = time.perf_counter(), 0
        while time.perf_counter() - begun < _ENOUGH and steps < 20 * _PIECE:
            # Its mean loss is a number here: on a GPU the clock waits for it.
            training.run(_PIECE)
            steps += _PIECE
        ended = time.perf_counter()
        training.accuracy("val")
    except Diverged:
        # It took as long until then.
        return (time.perf_counter() - begun) / (steps + _PIECE), 0.0
    return (ended - begun) / steps, time.perf_counter() - ended


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
