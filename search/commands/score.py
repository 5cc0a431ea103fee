"""`fullspectrum score`: the coordinate of a mask file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.errors import InputError, nearest
from .checks import check_readable
from .options import Masks, Weights

if TYPE_CHECKING:
    from rich.console import Console

    from ...spectral.chance import ZScore
    from ...spectral.coordinate import Coordinate
    from ..files import JsonObject


def score(
    masks: Masks,
    weights: Weights = None,
    model: Annotated[str | None, typer.Option(help="Network whose initial weights are meant.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights.", min=0)] = None,
    reference: Annotated[
        str, typer.Option(help="Distance measured from: origin, random, dense, start (with --weights: of later ones).")
    ] = "origin",
    aggregate: Annotated[str, typer.Option(help="How layers combine: sum, mean_vector.")] = "sum",
    variant: Annotated[str, typer.Option(help="Definition of the coordinate: paper, authors.")] = "paper",
    chance: Annotated[
        int,
        typer.Option(
            metavar="DRAWS",
            help="Random masks of the same layer sparsities that it is held against, 2 or more; each takes as long as "
            "the score itself. 0: none.",
            min=0,
        ),
    ] = 16,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture of all layers beside chance (.png, .pdf, .svg).")
    ] = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="What each layer costs, and measured latency, dense and sparse, on this CPU.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Place a mask set in the full-spectrum coordinate system.

    The file may be another trainer's, with its weights. Beside each component stands z: how many standard deviations it
    lies above random masks that keep as many weights in each layer. Without --weights and --model the weights are those
    that the mask file holds or names; where it names none, the weighted gaps are undefined. With --reference start,
    --weights are those of a later step, and the distance says how far training has moved the mask from the initial
    weights.

    Last comes what the mask costs: parameters and bytes, and floating point operations where the network is known, by
    --model or by the mask file.

    Example: fullspectrum score mask.safetensors --plot mask.png
    """
    _check(masks, weights, model, {"reference": reference, "aggregate": aggregate, "variant": variant})
    if chance == 1:
        raise InputError("--chance 1: one random mask has no standard deviation; give 2 or more, or 0 for none")
    if plot is not None:
        if chance == 0:
            raise InputError("--plot draws the mask beside random masks: give --chance 2 or more")
        from ..report.layerplot import plot_coordinate
        from ..report.picture import check_picture

        check_picture(plot)

    from rich.console import Console

    from ...spectral.coordinate import full_spectrum
    from ..screen.stepper import stepper
    from .masks import (
        channels_for,
        cost_for,
        given_weights,
        layout_for,
        load_masks,
        under_names_of,
        weights_for,
    )

    found = load_masks(masks, model)
    loaded = found.masks
    state = weights_for(loaded, given_weights(found, weights), model, seed)
    if state is not None:
        state = under_names_of(loaded, state)
    start = None
    if reference == "start":
        start = weights_for(loaded, None, model, seed)
        if start is None:
            raise InputError(
                "--reference start needs the initial weights, but the mask file names no network of ours; give --model "
                "and --seed"
            )
        start = under_names_of(loaded, start)
    layout = layout_for(loaded, model)
    try:
        with stepper("scoring", len(loaded)) as step:
            coordinate = full_spectrum(
                loaded, state, layout.groups, layout.inputs_first, variant=variant, start=start, progress=step
            )
    except ValueError as error:
        # The files are the user's, and the message is one line already.
        raise InputError(str(error)) from error
    coordinate.channels = channels_for(loaded, model)
    z_scores, distance = {}, None
    if chance:
        with stepper("scoring random masks", chance * len(loaded)) as step:
            z_scores = coordinate.chance(chance, step)
        with stepper("scoring random masks for the distance", chance * len(loaded)) as step:
            distance = coordinate.distance_chance(reference, aggregate, chance, step)
    document = _document(coordinate, reference, aggregate, z_scores, distance) | {
        "cost": cost_for(loaded, model, state, cost)
    }
    if plot is not None and distance is not None:
        title = (
            f"{masks.name}: sparsity {loaded.sparsity:.4g}, full-spectrum L2 distance {distance.value:.3f} "
            f"(chance {distance.mean:.3f} ± {distance.std:.3f})"
        )
        plot_coordinate(coordinate, z_scores, title, plot)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    console = Console()
    _print(console, document, loaded.sparsity, state is not None)
    _print_cost(console, document["cost"], cost)
    if plot is not None:
        typer.echo(f"wrote {plot}")


def _check(masks: Path, weights: Path | None, model: str | None, chosen: dict[str, str]) -> None:
    """Raise InputError for files and names that cannot be used."""
    from ...models.architectures.registry import NETWORKS
    from ..config.distance import AGGREGATES, REFERENCES, VARIANTS

    for option, known in (("reference", REFERENCES), ("aggregate", AGGREGATES), ("variant", VARIANTS)):
        if (given := chosen[option]) not in known:
            raise InputError(f"unknown --{option} {given!r}{nearest(given, known)}; expected one of {', '.join(known)}")
    if chosen["reference"] == "start" and weights is None:
        raise InputError(
            "--reference start measures how far training has moved a mask, but there are the initial weights alone; "
            "give those of a later step with --weights"
        )
    if model is not None:
        NETWORKS.check(model)
    check_readable(masks, weights)


def _document(
    coordinate: "Coordinate",
    reference: str,
    aggregate: str,
    z_scores: dict[str, dict[str, "ZScore"]],
    distance: "ZScore | None",
) -> "JsonObject":
    from ...spectral.coordinate import FIELDS
    from ..files import plain
    from ..scores.registry import all_scores

    layers = coordinate.to_dict()
    for name, those in z_scores.items():
        layers[name] |= {f"z_{field}": those[field].z for field in FIELDS}
    document: JsonObject = {
        "l2": coordinate.l2_distance(reference, aggregate),
        "reference": reference,
        "aggregate": aggregate,
        "variant": coordinate.variant,
        "scores": {name: score.value(coordinate) for name, score in all_scores((), reference, aggregate).items()},
        "defined_layers": coordinate.defined_layers,
        "mean": {field: coordinate.mean(field) for field in FIELDS},
        "layers": layers,
    }
    if distance is not None:
        document["chance"] = {"l2": {"mean": distance.mean, "std": distance.std, "z": distance.z}}
    finite: JsonObject = plain(document)
    return finite


def _print(console: "Console", document: "JsonObject", sparsity: float, weighted: bool) -> None:
    from rich.box import SIMPLE_HEAD

    from ...spectral.coordinate import FIELDS
    from ..screen.console import print_line
    from ..screen.fitting import FittingTable

    chance = "chance" in document
    # Narrow: the parameters of a ResNet and all columns fit on 80 characters.
    table = FittingTable(
        # The spectra first, then the weighted gaps; Δr and Δr_imdb stay.
        spare=("σ₂", "σ₁", "λ_imsg", "λ"),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        caption_justify="left",
    )
    table.caption = "– undefined: too few edges or nodes" + (", or all random masks alike" if chance else "")
    table.add_column("parameter", overflow="fold")
    for symbol in ("sparsity", "Δr", "Δr_imdb", "λ", "λ_imsg", "σ₁", "σ₂"):
        table.add_column(symbol, justify="right", no_wrap=True)

    def cell(value: float | None, form: str = ".3f") -> str:
        return "–" if value is None else format(value, form)

    for name, values in document["layers"].items():
        columns = (values[field] for field in ("sparsity", *FIELDS, "sigma1", "sigma2"))
        table.add_row(name.removesuffix(".weight"), *map(cell, columns))
        if chance:
            scores = (cell(values[f"z_{field}"], "+.1f") for field in FIELDS)
            table.add_row("", "z", *scores, style="dim")
    table.add_section()
    table.add_row("network (mean)", f"{sparsity:.3f}", *(cell(document["mean"][field]) for field in FIELDS), "", "")
    console.print(table)
    print_line(
        console,
        f"full-spectrum L2 distance {document['l2']:.4f} (reference {document['reference']}, aggregate "
        f"{document['aggregate']}, variant {document['variant']}); all four are defined in "
        f"{document['defined_layers']} of {len(document['layers'])} layers",
    )
    print_line(console, _other_scores(document["scores"]))
    if chance:
        print_line(console, _against_chance(document["chance"]["l2"]))
    if not weighted:
        console.print("The weighted gaps λ need the initial weights: give --weights, or --model and --seed.")


def _print_cost(console: "Console", cost: "JsonObject", by_layer: bool) -> None:
    from ..screen.console import print_line
    from ..screen.cost import cost_line, cost_table, latency_line

    if by_layer:
        console.print(cost_table(cost, cost["latency"]))
    print_line(console, cost_line(cost))
    if cost["latency"]:
        print_line(console, latency_line(cost["latency"]))
    elif by_layer:
        print_line(console, "Operations and latency need the network, and that it runs on this CPU: give --model")


def _other_scores(scores: dict[str, float | None]) -> str:
    """Return a sentence of the scores that the table does not hold."""
    from ...spectral.coordinate import FIELDS
    from ..scores.registry import DISTANCE, score_called

    others = {score_called(name).label: value for name, value in scores.items() if name not in (DISTANCE, *FIELDS)}
    return "Other scores: " + ", ".join(
        f"{label} {'–' if value is None else format(value, '.4g')}" for label, value in others.items()
    )


def _against_chance(distance: dict[str, float | None]) -> str:
    if distance["z"] is None:
        return (
            "Random masks of the same layer sparsities are all alike: there is no chance to hold the distance against."
        )
    side = "above" if distance["z"] >= 0 else "below"
    return (
        f"That is {abs(distance['z']):.1f} standard deviations {side} random masks of the same layer sparsities "
        f"({distance['mean']:.4f} ± {distance['std']:.4f})."
    )
