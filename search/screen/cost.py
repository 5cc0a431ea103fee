"""What a mask costs, on the terminal."""

from rich.box import SIMPLE_HEAD

from ..files import JsonObject
from .fitting import FittingTable

_PREFIXES = ("", "k", "M", "G", "T")


def cost_line(cost: JsonObject) -> str:
    """Return a sentence of what `MaskCost.to_dict` says of the network; where it is not known, of the masked layers."""
    whole, of = (cost["network"], "the network's") if cost["network"] else (cost, "the masked")
    line = f"Cost: {whole['parameters']:,} of {of} {whole['parameters_dense']:,} parameters"
    if whole["flops"] is not None:
        line += f", {amount(whole['flops'])} of {amount(whole['flops_dense'], 'FLOPs')} an image"
    rows, dense = amount(whole["bytes_csr"], "B"), amount(whole["bytes_dense"], "B")
    return f"{line}, {rows} as compressed sparse rows, {dense} dense"


def latency_line(latency: JsonObject) -> str:
    """Return a sentence of a latency as `Latency.to_dict` gives it."""
    threads = f"{latency['threads']} thread{'s' if latency['threads'] > 1 else ''}"
    return (
        f"Latency of one image on this CPU, {threads}, median of {latency['repeats']}: "
        f"{1e3 * latency['dense']:.3g} ms dense, {1e3 * latency['csr']:.3g} ms with {len(latency['layers'])} of "
        f"{latency['masked']} masked layers as compressed sparse rows"
    )


def cost_table(cost: JsonObject, latency: JsonObject | None) -> FittingTable:
    """Return a table of what each masked layer costs; of one that was not measured there is no latency."""
    table = FittingTable(
        spare=("dense B", "FLOPs"), box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    table.add_column("parameter", overflow="fold")
    for heading in ("kept", "of", "FLOPs", "dense FLOPs", "CSR B", "dense B", "CSR ms", "dense ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    measured = latency["layers"] if latency else {}
    for name, layer in cost["layers"].items():
        taken = measured.get(name)
        table.add_row(
            name.removesuffix(".weight"),
            f"{layer['parameters']:,}",
            f"{layer['parameters_dense']:,}",
            *("" if layer[key] is None else amount(layer[key]) for key in ("flops", "flops_dense")),
            *(amount(layer[key]) for key in ("bytes_csr", "bytes_dense")),
            *(f"{1e3 * taken[key]:.3g}" if taken else "" for key in ("csr", "dense")),
        )
    return table


def amount(number: float, unit: str = "") -> str:
    """Return a number of things in three digits, with the letter of its thousands and the `unit`."""
    thousands = 0
    while number >= 999.5 and thousands < len(_PREFIXES) - 1:
        number, thousands = number / 1000, thousands + 1
    return f"{number:.3g} {_PREFIXES[thousands]}{unit}".strip()
