"""`fullspectrum check`: whether a mask is worth more than its layer sparsities."""

import json
import time
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated

import typer

from ..names import Artifact, Metric
from .options import RUNS, Address, DataSet, HomeFolder, Masks, Model, Pretraining, Settings, Weights

if TYPE_CHECKING:
    from rich.console import Console

    from ..final.sanity import SanityCheck


def check(
    masks: Masks,
    model: Model,
    data: DataSet,
    weights: Weights = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights and the batches.", min=0)] = None,
    pretraining: Pretraining = None,
    repeats: Annotated[int, typer.Option(help="Trainings of the mask and of each baseline.", min=1, max=100)] = 3,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Train a mask beside what is left of it without its choices, and say whether it beats its own shuffle.

    It is trained as it is; shuffled within each layer; on other initial weights, pretrained for as long; with the
    lowest scores of its source kept instead of the highest (where the mask file names a source that has scores); and
    beside it a random mask of ERK layer sparsities. The recipe is that of a study's [training] and [final] tables. All
    trainings are recorded in MLflow.

    Example: fullspectrum check mask.safetensors --model digits_cnn --data digits --set final.epochs=20
    """
    from .checks import check_readable, check_training

    check_training("check", model, data, settings)
    check_readable(masks, weights)

    import torch
    from rich.console import Console

    from ...clusters.connection import connect
    from ...models.data import load
    from ...models.layers import prunable
    from ...models.networks import build, initial_state
    from ...models.trainable import check_trainable
    from ..config.own import import_own
    from ..config.studyfile import study_of
    from ..files import Home, write_json
    from ..final.check import prepare_check
    from ..final.origin import settings_of
    from ..final.sanity import MASK
    from ..guards.counter import check_connected
    from ..guards.unpruned import warn_unpruned
    from ..record.check_recorder import CheckRecorder
    from ..record.delivery import delivered
    from ..record.destination import Destination
    from ..record.server import tracking_server
    from ..sampling.pattern import pattern_of
    from ..screen.stepper import stepper
    from ..worker.device import check_resources, claim_device
    from ..worker.pretraining import check_pretraining
    from ..worker.rulecheck import check_full_training
    from ..worker.workbench import Workbench
    from .masks import initial_seed, load_trainable, masks_for, pretrained_for, pretraining_of, weights_before

    given = load_trainable(masks)
    loaded = given.masks
    seed = initial_seed(loaded, seed)
    k = pretraining or pretraining_of(loaded)
    # Of a pattern the sparsity is that of the layers that have it, until the network is known.
    pattern = pattern_of(loaded.metadata)
    sparsity = pattern.sparsity if pattern else loaded.sparsity
    own = {"model": model, "data": data, "sparsity": sparsity, "seed": seed, "search": settings_of(loaded)}
    study = study_of(own | {"pretraining": {"iterations": k}}, settings)
    place = Home(home)
    server = tracking_server(place, study.tracking.mlflow)
    import_own(study)
    images = load(data, seed)
    check_full_training(study, images)
    # Other weights are pretrained for as long.
    check_pretraining(study, images)
    network = build(model, images.task, seed)
    prunable_weights = prunable(network)
    loaded = masks_for(given, network)
    # The sparsity of the whole network: a random mask is to have it too, whatever the file leaves without a mask.
    weights_in_all = sum(weight.numel() for weight in prunable_weights.values())
    study = study.model_copy(update={"sparsity": (loaded.size - loaded.kept) / weights_in_all})
    warn_unpruned(network)
    network.load_state_dict(weights_before(loaded, given, weights, pretraining, study, network, images))
    check_trainable(network, images, model, batch_size=study.training.least_batch_size)
    check_connected(loaded, network, images.task)
    bench = Workbench(study, network, images, pretraining=k)
    bench.try_sources()
    if pretraining:
        # The driver of a cluster may have no GPU.
        device = claim_device(study.resources) if torch.cuda.is_available() else "cpu"
        bench = bench.pretrained(k, pretrained_for(loaded, k, study, network, images, device))
    state = initial_state(bench.model)
    place.create()
    # Each check is a record of its own, however often the same mask is checked.
    folder = place.checks / f"{loaded.digest()[:12]}-{time.time_ns():x}"
    destination = Destination(place, place.checks.name, "fullspectrum checks", server)
    if not as_json:
        typer.echo(f"checking {masks.name}: {model} on {data}, sparsity {study.sparsity:.4f}, {repeats} trainings each")
    with connect(address) as here:
        check_resources(study.resources, here)
        with delivered(folder / "spool.jsonl", destination) as delivery:
            recorder = CheckRecorder(delivery.spool, folder.name, study)
            with recorder.opened(f"check {masks.name}", loaded):
                ready = prepare_check(bench, loaded, state, repeats, folder, k)
                with stepper("training", len(ready.entries)) as step:
                    found = ready.run(recorder, step)
                write_json(folder / Artifact.CHECK, found.to_dict())
                differences = {label: beside.difference for label, beside in found.comparisons().items()}
                status = "FINISHED" if found.accuracies(MASK) else "FAILED"
                recorder.close(folder / Artifact.CHECK, found.verdict(), differences, status)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False))
    else:
        _print(Console(), found)
    if not found.accuracies(MASK):
        raise typer.Exit(1)


def _print(console: "Console", found: "SanityCheck") -> None:
    from rich.box import SIMPLE_HEAD

    from ..final.sanity import LABELS
    from ..screen.console import print_line
    from ..screen.fitting import FittingTable

    table = FittingTable(
        spare=("val acc.", "the mask"), box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    table.add_column("trained")
    for heading in ("val acc.", "test acc.", "mask less it"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("the mask", no_wrap=True)
    comparisons = found.comparisons()
    for label in LABELS:
        if not found.accuracies(label):
            table.add_row(label, "–", "–", "–", "–")
            continue
        cells = [f"{fmean(found.accuracies(label, Metric.ACCURACY_VAL_FINAL)):.4f}", _spread(found.accuracies(label))]
        if beside := comparisons.get(label):
            cells += [f"{beside.difference:+.4f} ± {beside.error:.4f}", f"{beside.verb} it"]
        table.add_row(label, *cells)
    console.print(table)
    for label, reason in found.missing.items():
        print_line(console, f"{label}: {reason}")
    print_line(console, found.verdict())


def _spread(accuracies: list[float]) -> str:
    """Return the mean, and the standard deviation where there are several."""
    mean = f"{fmean(accuracies):.4f}"
    return mean if len(accuracies) == 1 else f"{mean} ± {stdev(accuracies):.4f}"
