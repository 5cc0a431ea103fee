"""What each score of a mask says of its accuracy, in public results and in our own."""

from math import isfinite

import pandas as pd
from rich.console import Console
from rich.table import Table

from .publicdata import MGE, RAMANUJAN, WHILE
from .ranks import mean, within_groups

#: Scores of the public sets, and what they are there.
SCORES = {
    "layer_density": "mean layer density",
    "log_density": "mean log layer density",
    "ramanujan_gap": "Δr (in mge-snn over its bound)",
    "imdb": "Δr_imdb (in mge-snn over its bound)",
    "imsg": "λ_imsg (normalised by its authors)",
    "distance": "distance (unweighted half)",
    "live_nodes": "live nodes of the unrolled network",
    "spectral_gap": "spectral gap of the unrolled network",
    "spectral_radius": "spectral radius of the unrolled network",
}
SETS = (MGE, WHILE, RAMANUJAN)

#: Smallest first.
NETWORKS = ("Resnet-20", "Resnet-32", "Wide-Resnet-28-2", "CONV-6", "vgg16", "resnet34")

#: Spearman's ρ with test accuracy / partial given mean layer density, of our own trainings: ResNet-20, CIFAR-10,
#: sparsity 0.98, 4,770 iterations of 128 at 0.1 cosine, one seed of initial weights, one H200, November 2026. 23 masks
#: that were chosen at the initial weights θ₀, and 12 that were chosen, and trained, from θ₂₀₀₀.
OWN = {
    "L2 distance from the origin": ("-0.45 / -0.63", "+0.34 / +0.16"),
    "distance between the coordinates on θ_k and on θ₀": ("", "+0.41"),
    "mean λ": ("-0.49 / -0.64", "+0.40 / +0.24"),
    "mean log layer density": ("+0.50 / +0.52", "-0.04"),
    "share of live channels": ("+0.68 / +0.75", "-0.07"),
    "kept magnitude": ("-0.32", "+0.80 / +0.82"),
}


def print_scores(console: Console, public: pd.DataFrame) -> None:
    """Print ρ of every score with accuracy, raw and given density, in each set."""
    for name in SETS:
        one = public[public.set == name]
        title = f"{name}: {len(one)} masks in {one.group.nunique()} groups of one data set, network and sparsity"
        table = Table(title=title, title_justify="left")
        for heading in ("score", "ρ", "given layer density", "given log density"):
            table.add_column(heading, justify="left" if heading == "score" else "right")
        for score, label in SCORES.items():
            if score in one and one[score].notna().any():
                given = (None, "layer_density", "log_density")
                cells = [mean(within_groups(one, score, each)) for each in given]
                table.add_row(label, *map(str, cells))
        console.print(table)


def print_by_network(console: Console, public: pd.DataFrame) -> None:
    """Print ρ of the main scores, raw / given layer density, for each network and from sparsity 0.9 on."""
    names = ("layer_density", "log_density", "imdb", "live_nodes")
    table = Table(title="masks chosen before training: ρ / given layer density", title_justify="left")
    table.add_column("network")
    for sparsity in ("all sparsities", "0.9 and above"):
        for name in names:
            table.add_column(f"{name}, {sparsity}", justify="right")
    chosen = public[public.set != WHILE]
    for network in NETWORKS:
        one = chosen[chosen.network == network]
        cells = []
        for part in (one, one[one.sparsity >= 0.9]):
            for name in names:
                values = [mean(within_groups(part, name, given)).value for given in (None, "layer_density")]
                cells.append(" / ".join(f"{value:+.2f}" for value in values if isfinite(value)))
        table.add_row(network, *cells)
    console.print(table)


def print_own(console: Console) -> None:
    """Print our own figures."""
    table = Table(title="our own masks (ResNet-20, 98 %): ρ / given layer density", title_justify="left")
    for heading in ("score", "chosen at θ₀ (23)", "chosen at θ₂₀₀₀ (12)"):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for label, cells in OWN.items():
        table.add_row(label, *cells)
    console.print(table)
