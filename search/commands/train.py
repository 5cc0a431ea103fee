"""`fullspectrum train`: full training of a mask."""

from pathlib import Path
from typing import Annotated

import typer

from .options import DataSet, Masks, Model, Pretraining, Settings, Weights


def train(
    masks: Masks,
    model: Model,
    data: DataSet,
    weights: Weights = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights and the batches.", min=0)] = None,
    pretraining: Pretraining = None,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Trained weights to write; beside them the masks of the end, where they changed, and the picture of "
            "their coordinate over time, where record.coordinate_every is set.",
        ),
    ] = None,
) -> None:
    """Train a masked network in full and measure it on the test split.

    The recipe is that of a study's [training] and [final] tables and can be changed by --set. Without --seed the
    initial weights are those that the mask file names. With --pretraining K the dense network is trained for K
    iterations first, and goes on from there under the mask.

    Example: fullspectrum train mask.safetensors --model digits_cnn --data digits --set final.epochs=20
    """
    from ...models.files import check_target
    from .checks import check_readable, check_training

    check_training("train", model, data, settings)
    check_readable(masks, weights)
    if output is not None:
        check_target(output)

    from ...models.data import load
    from ...models.networks import build, initial_state
    from ...models.trainable import check_trainable
    from ...models.weights import save_state
    from ..config.own import import_own
    from ..config.studyfile import study_of
    from ..final.full import FullTraining, save_end, train_fully
    from ..final.trajectory import Trajectory, draw
    from ..guards.counter import check_connected
    from ..guards.unpruned import warn_unpruned
    from ..names import Artifact
    from ..protocol.training import CoordinateProgress, TrainingEnd, TrainingProgress, TrainingReport
    from ..scores.registry import DISTANCE
    from ..worker.device import claim_device
    from ..worker.rulecheck import check_full_training
    from .masks import initial_seed, load_trainable, masks_for, pretrained_for, pretraining_of, weights_before

    found = load_trainable(masks)
    loaded = found.masks
    seed = initial_seed(loaded, seed)
    own = {"model": model, "data": data, "sparsity": loaded.sparsity, "seed": seed}
    study = study_of(own | {"pretraining": {"iterations": pretraining or pretraining_of(loaded)}}, settings)
    import_own(study)
    images = load(data, seed)
    check_full_training(study, images)
    network = build(model, images.task, seed)
    loaded = masks_for(found, network)
    warn_unpruned(network)
    device = claim_device(study.resources)
    start = initial_state(network)
    network.load_state_dict(weights_before(loaded, found, weights, pretraining, study, network, images))
    check_trainable(network, images, model, device, study.training.least_batch_size)
    check_connected(loaded, network, images.task)
    network.load_state_dict(pretrained_for(loaded, pretraining, study, network, images, device))
    typer.echo(f"training {model} on {data} at sparsity {loaded.sparsity:.4f} for {study.final.epochs} epochs")
    full, trajectory = FullTraining.of(study, {}), Trajectory.of(study, start)
    reports: list[TrainingReport] = []
    for report in train_fully(network.to(device), loaded, images, full, trajectory=trajectory):
        reports.append(report)
        if isinstance(report, TrainingProgress):
            typer.echo(f"  {report.iteration:>7} iterations  validation {report.accuracy_val:.4f}")
        elif isinstance(report, CoordinateProgress):
            typer.echo(f"  {report.iteration:>7} iterations  distance {report.values[DISTANCE]:.4f}")
    assert isinstance(report, TrainingEnd)
    if report.accuracy_final is None:
        typer.echo(f"{report.reason}", err=True)
        raise typer.Exit(1)
    if output is not None and report.masks is not None:
        save_end(output.with_suffix(".mask.safetensors"), output, report.masks, network)
    elif output is not None:
        save_state(output, network.state_dict())
    if output is not None:
        draw(reports, f"{masks.name}: {model}, {full.recipe.mask}", output.with_suffix(f".{Artifact.TRAJECTORY}"))
    typer.echo(f"validation accuracy {report.accuracy_val:.4f}, test accuracy {report.accuracy_final:.4f}")
