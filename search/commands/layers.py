"""`fullspectrum layers`: the prunable parameters of a network."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Model

if TYPE_CHECKING:
    from rich.console import Console

    from ...models.task import Task
    from ..protocol.network import LayerListing, NetworkListing


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
    from ...models.architectures.registry import NETWORKS, default_task
    from ...models.datasets.registry import DATASETS
    from ...models.errors import InputError

    NETWORKS.check(model)
    usual = default_task(model)
    if data is not None:
        DATASETS.check(data)
    elif usual is None:
        raise InputError(f'what "{model}" takes is known to its author alone: give its data set with --data')

    from rich.console import Console

    from ...models.weightless import build_weightless
    from ..worker.listing import listing

    task = usual if data is None else _task_of(data)
    assert task is not None
    document = listing(build_weightless(model, task), model, task)
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(Console(), document)


def _task_of(data: str) -> "Task":
    from ...models.data import load

    return load(data).task


def _print(console: "Console", document: "NetworkListing") -> None:
    from rich.box import SIMPLE_HEAD

    from ..screen.console import print_line
    from ..screen.fitting import FittingTable

    task, listed = document["task"], document["layers"]
    images = f"{task['channels']} x {task['size']} x {task['size']}"
    print_line(console, f"{document['model']} for images of {images} in {task['classes']} classes")
    # Narrow: the parameters of a ResNet fit on 80 characters.
    table = FittingTable(
        spare=("layer", "share", "left × right"),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    table.add_column("parameter", overflow="fold")
    table.add_column("layer")
    for column in ("left × right", "weights", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, layer in listed.items():
        sides = f"{layer['left']:,} × {layer['right']:,}"
        table.add_row(
            name.removesuffix(".weight"),
            _described(layer),
            sides,
            f"{layer['weights']:,}",
            f"{layer['share']:.2%}",
        )
    table.add_section()
    table.add_row(f"all {len(listed)}", "", "", f"{document['weights']:,}", f"{1:.2%}")
    console.print(table)
    never = document["never_pruned"]
    print_line(console, f"{document['weights']:,} of {document['parameters']:,} parameters can be pruned.")
    print_line(console, f"Never pruned: parameters of one axis (biases, normalisation){', and' if never else '.'}")
    for name, reason in never.items():
        print_line(console, f"  {name}: {reason}")
    if document["adaptations"]:
        print_line(console, "Changed against the published network:")
    for change in document["adaptations"]:
        print_line(console, f"  {change}")


def _described(layer: "LayerListing") -> str:
    kernel = " x ".join(map(str, layer["shape"][2:]))
    groups = f"{layer['groups']} groups" if layer["groups"] > 1 else ""
    return ", ".join(filter(None, (f"{layer['kind']} {kernel}".strip(), groups)))
