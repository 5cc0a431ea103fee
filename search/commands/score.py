"""`fullspectrum score`: the coordinate of a mask file."""

import json
from typing import Annotated

import typer

from .options import Masks, Weights


def score(
    masks: Masks,
    weights: Weights = None,
    model: Annotated[str | None, typer.Option(help="Network whose initial weights are meant.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the initial weights.", min=0)] = None,
    reference: Annotated[str, typer.Option(help="Distance measured from: origin, random, dense.")] = "origin",
    aggregate: Annotated[str, typer.Option(help="How layers combine: sum, mean_vector.")] = "sum",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Place a mask set in the full-spectrum coordinate system.

    Without --weights and --model the weights are those that the mask file names; where it names none, the weighted
    gaps are undefined.

    Example: fullspectrum score mask.safetensors --json
    """
    from rich.console import Console

    from ...models.errors import InputError, nearest
    from ...spectral.coordinate import AGGREGATES, REFERENCES, full_spectrum
    from .masks import load_masks, weights_for

    for option, given, known in (("reference", reference, REFERENCES), ("aggregate", aggregate, AGGREGATES)):
        if given not in known:
            raise InputError(f"unknown --{option} {given!r}{nearest(given, known)}; expected one of {', '.join(known)}")
    loaded = load_masks(masks)
    state = weights_for(loaded, weights, model, seed)
    coordinate = full_spectrum(loaded, state)
    document = _document(coordinate, coordinate.l2_distance(reference, aggregate), reference, aggregate)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    _print(Console(), document, loaded.sparsity, state is not None)


def _document(coordinate, distance: float, reference: str, aggregate: str) -> dict:
    from ...spectral.coordinate import FIELDS
    from ..files import plain

    return plain(
        {
            "l2": distance,
            "reference": reference,
            "aggregate": aggregate,
            "defined_layers": coordinate.defined_layers,
            "mean": {field: coordinate.mean(field) for field in FIELDS},
            "layers": coordinate.to_dict(),
        }
    )


def _print(console, document: dict, sparsity: float, weighted: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ...spectral.coordinate import FIELDS

    # Narrow: the parameters of a ResNet and all columns fit on 80 characters.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", caption_justify="left")
    table.caption = "– undefined: too few edges or nodes"
    table.add_column("parameter", overflow="fold")
    for symbol in ("sparsity", "Δr", "Δr_imdb", "λ", "λ_imsg", "σ₁", "σ₂"):
        table.add_column(symbol, justify="right", no_wrap=True)

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    for name, values in document["layers"].items():
        columns = (values[field] for field in ("sparsity", *FIELDS, "sigma1", "sigma2"))
        table.add_row(name.removesuffix(".weight"), *map(cell, columns))
    table.add_section()
    table.add_row("network (mean)", f"{sparsity:.3f}", *(cell(document["mean"][field]) for field in FIELDS), "", "")
    console.print(table)
    console.print(
        f"full-spectrum L2 distance {document['l2']:.4f} (reference {document['reference']}, aggregate "
        f"{document['aggregate']}); all four are defined in {document['defined_layers']} of "
        f"{len(document['layers'])} layers",
        highlight=False,
        soft_wrap=True,
    )
    if not weighted:
        console.print("The weighted gaps λ need the initial weights: give --weights, or --model and --seed.")
