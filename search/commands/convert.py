"""`fullspectrum convert`: masks from the form of one trainer to that of another."""

from pathlib import Path
from typing import Annotated

import typer

from ...models.formats.registry import FORMATS


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File of masks.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    to: Annotated[str, typer.Option("--to", help=f"Format of OUT: {', '.join(FORMATS.known)}.")],
    given: Annotated[str | None, typer.Option("--from", help="Format of IN; default: what it looks like.")] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Initial weights (safetensors or torch.save), instead of IN's own.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Put before every parameter's name, as backbone.")] = "",
    model: Annotated[
        str | None, typer.Option("--model", help="Network whose names the masks get; needed where IN has none.")
    ] = None,
) -> None:
    """Write masks, and their weights where there are any, in the form that another trainer reads.

    It says what IN was taken for, how sparse it is, and whether its masks had to be inferred from zeros.

    Example: fullspectrum convert best.safetensors best.pt --to torch-prune
    """
    from ...models.architectures.registry import NETWORKS
    from ...models.errors import InputError
    from ...models.files import check_target
    from .checks import check_readable

    FORMATS.check(to)
    if given is not None:
        FORMATS.check(given)
    if model is not None:
        NETWORKS.check(model)
    check_readable(source, weights)
    check_target(output)
    if output.exists() and output.samefile(source):
        raise InputError(f"{output} is what is to be read; give another path")

    from ...models.formats import export, read
    from ...models.formats.format import Format
    from ...models.formats.sidecar import kept_zeros, provenance_of
    from ...models.masks import check_fits
    from ...models.weights import load_state
    from .masks import parameters_of

    state = load_state(weights) if weights is not None else None
    network = parameters_of(model) if model is not None else None
    found = read(source, given, network or state)
    typer.echo(f"read {source}: {found.describe()}")
    if not found.named:
        raise InputError(
            f"{source}: format {found.format} names no parameters; name the network (--model), or give its weights "
            "(--weights)"
        )
    state = state or found.state
    masks = found.masks if state is None else check_fits(found.masks, state)
    origin = {
        "file": source.name,
        "format": found.format,
        "inferred": found.inferred,
        "metadata": masks.metadata,
        "provenance": provenance_of(source, masks),
    }
    written = export(to, output, masks, state, prefix=prefix, provenance={"converted": origin})
    if FORMATS.make(to, Format).infers_masks and state is not None and (zeros := kept_zeros(masks, state)):
        typer.echo(f"{zeros:,} kept weights are exactly 0: whoever reads {output} takes them for removed")
    typer.echo(
        f"wrote {', '.join(map(str, written))}: format {to}, {'masks' if state is None else 'masks and weights'}"
    )
