"""`fullspectrum layers`: the prunable parameters of a network."""

import json
from typing import Annotated

import typer

from .options import Model


def layers(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(help="Data set that it is built for; default: its usual one (of torchvision: ImageNet)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """List the parameters of a network that can be pruned, those that never are, and how it was fitted to the images.

    Beside each stands the size of its bipartite graph: input positions on the left, outputs on the right.

    Example: fullspectrum layers --model resnet20
    """
    import torch
    from rich.console import Console

    from ...models.data import load
    from ...models.errors import InputError
    from ...models.networks import build, check_name, default_task
    from ..report.listing import listing

    check_name(model)
    usual = default_task(model)
    if data is None and usual is None:
        raise InputError(f'what "{model}" takes is known to its author alone: give its data set with --data')
    task = usual if data is None else load(data).task
    # Ours need no memory for the weights; a user's function may look at them.
    with torch.device("cpu" if usual is None else "meta"):
        network = build(model, task, 0)
    document = listing(network, model, task)
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(Console(), document)


def _print(console, document: dict) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    task, listed = document["task"], document["layers"]
    images = f"{task['channels']} x {task['size']} x {task['size']}"
    say(f"{document['model']} for images of {images} in {task['classes']} classes")
    # Narrow: the parameters of a ResNet fit on 80 characters.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("parameter", overflow="fold")
    table.add_column("layer")
    for column in ("left × right", "weights", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, layer in listed.items():
        sides = f"{layer['left']:,} × {layer['right']:,}"
        table.add_row(
            name.removesuffix(".weight"), _described(layer), sides, f"{layer['weights']:,}", f"{layer['share']:.2%}"
        )
    table.add_section()
    table.add_row(f"all {len(listed)}", "", "", f"{document['weights']:,}", f"{1:.2%}")
    console.print(table)
    never = document["never_pruned"]
    say(f"{document['weights']:,} of {document['parameters']:,} parameters can be pruned.")
    say(f"Never pruned: parameters of one axis (biases, normalisation){', and' if never else '.'}")
    for name, reason in never.items():
        say(f"  {name}: {reason}")
    if document["adaptations"]:
        say("Changed against the published network:")
    for change in document["adaptations"]:
        say(f"  {change}")


def _described(layer: dict) -> str:
    kernel = " x ".join(map(str, layer["shape"][2:]))
    groups = f"{layer['groups']} groups" if layer["groups"] > 1 else ""
    return ", ".join(filter(None, (f"{layer['kind']} {kernel}".strip(), groups)))
