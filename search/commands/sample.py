"""`fullspectrum sample`: draws one mask set."""

import copy
from pathlib import Path
from typing import Annotated

import typer

from ..sampling.registry import ALLOCATIONS
from .options import DataSet, Model, Pretraining, Settings


def sample(
    model: Model,
    data: DataSet,
    source: Annotated[str, typer.Option(help="Mask source; fullspectrum search --list-settings names them all.")],
    sparsity: Annotated[float, typer.Option(help="Fraction of weights removed, in [0, 1).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write (safetensors).")],
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and of the draw.", min=0)] = 0,
    allocation: Annotated[
        str,
        typer.Option(help=f"Layerwise sparsity: {', '.join(ALLOCATIONS.known)}; global: the source's own ranking."),
    ] = "global",
    pretraining: Pretraining = None,
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    temperature: Annotated[
        float | None, typer.Option(help="Gumbel temperature, >= 0 (inf: uniform); default: the source's own.")
    ] = None,
) -> None:
    """Draw one mask set and write it to a file.

    With --pretraining K the dense network is trained for K iterations first; the weights that it comes to, for which
    the mask is, are written beside it.

    Example: fullspectrum sample --model digits_cnn --data digits --source snip --sparsity 0.98 -o mask.safetensors
    """
    from ...models.errors import InputError
    from ...models.files import check_target
    from ..config.studyfile import study_of
    from .checks import check_option, check_sources

    check_option(settings)
    if temperature is not None and not temperature >= 0:
        raise InputError(f"--temperature {temperature:g}: expected a number >= 0, or inf for a uniform draw")
    search = {"sources": [source], "allocation": allocation, "theta": "none"}
    own = {"model": model, "data": data, "sparsity": sparsity, "seed": seed, "search": search}
    study = study_of(own | {"pretraining": {"iterations": pretraining or 0}}, settings)
    check_sources(study)
    check_target(output)
    weights_file = output.with_suffix(".weights.safetensors")
    if pretraining:
        check_target(weights_file)

    from ...models.data import load
    from ...models.masks import MaskSet
    from ...models.networks import build
    from ...models.trainable import check_trainable
    from ...models.weights import init_digest, save_state
    from ..config.own import import_own
    from ..console import warn
    from ..guards.unpruned import warn_unpruned
    from ..sampling.distribution import MaskDistribution
    from ..worker.device import claim_device
    from ..worker.pretraining import check_pretraining, pretrain
    from ..worker.workbench import Workbench

    import_own(study)
    loaded = load(data, seed)
    network = build(model, loaded.task, seed)
    check_trainable(network, loaded, model)
    check_pretraining(study, loaded)
    warn_unpruned(network)
    bench = Workbench(study, network, loaded)
    bench.paths.warn_estimated()
    bench.warn_pattern()
    # Found before anything trains.
    bench.try_sources()
    bench.counts(MaskDistribution("random", 0.0, 0, {}, allocation))
    if pretraining:
        trained = copy.deepcopy(network).to(claim_device(study.resources))
        ((k, state),) = pretrain(study, trained, loaded, [pretraining], seed)
        save_state(weights_file, state)
        typer.echo(f"wrote {weights_file}: the weights after {k} dense iterations, digest {init_digest(state)[:12]}")
        bench = bench.pretrained(k, state)
    if temperature is None:
        temperature = bench.source(source).default_temperature
    distribution = MaskDistribution(source, temperature, 0, {}, allocation)
    drawn, repaired = bench.rebuild(distribution, bench.counts(distribution), seed)
    told = {"repaired": str(repaired)} if repaired else {}
    masks = MaskSet(drawn, bench.metadata(distribution, seed) | told)
    connectivity = bench.connectivity(masks)
    if connectivity.fault:
        warn(f"this mask cannot train: {connectivity.fault}")
    if repaired:
        warn(f"this mask was repaired: {repaired} of its weights are not those that were drawn")
    masks.save(output)
    estimated = " (estimated)" if connectivity.estimated else ""
    typer.echo(
        f"wrote {output}: {masks.kept:,} of {masks.size:,} weights kept, sparsity {masks.sparsity:.4f}, "
        f"effective {connectivity.effective_sparsity:.4f}{estimated}, digest {masks.digest()[:12]}"
    )
