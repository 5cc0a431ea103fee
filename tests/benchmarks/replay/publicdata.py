"""The public results that are replayed, read from their files."""

from pathlib import Path

import numpy as np
import pandas as pd

#: What makes trainings comparable: the same data, network and sparsity.
GROUP = ["dataset", "model", "sparsity"]

#: What is one training of `ramanujan-on-pai`.
TRAINING = [*GROUP, "seed", "method"]

#: Sources of `mge-snn` that choose a mask before training; the others change it while training, and it is the last one.
BEFORE_TRAINING = ["er", "erk", "grasp", "prospr", "snip", "synflow", "uniform"]

MGE, WHILE, RAMANUJAN = "mge-snn", "mge-snn, while training", "ramanujan-on-pai"


def curves(folder: Path) -> pd.DataFrame:
    """Return an epoch a row of `ramanujan-on-pai`: accuracies, training loss, its sum so far, final test accuracy.

    Trainings that diverged are left out: in a search they end by themselves.
    """
    table = pd.read_csv(folder / "ramanujan_curves.csv.gz").rename(columns={"global_sparsity": "sparsity"})
    table = table.sort_values([*TRAINING, "epoch"])
    trainings = table.groupby(TRAINING)
    table["loss_sum"] = trainings.train_loss.cumsum()
    table["final"] = trainings.test_acc.transform("last")
    return table[trainings.train_loss.transform(lambda losses: losses.notna().all()).astype(bool)]


def masks(folder: Path) -> pd.DataFrame:
    """Return a mask a row of both sets: `set`, `group`, `network`, `method`, `accuracy`, and its scores.

    Masks with an empty layer are left out, as the guard of a study does.
    """
    table = pd.concat([_mge(folder), _ramanujan(folder)], ignore_index=True)
    table["group"] = table[GROUP].astype(str).agg(" ".join, axis=1)
    return table.rename(columns={"model": "network"})


def _mge(folder: Path) -> pd.DataFrame:
    layers = pd.read_csv(folder / "mge_layers.csv.gz").replace(-np.inf, np.nan)
    layers["density"] = layers.kept / layers["size"]
    runs = pd.read_csv(folder / "mge_runs.csv.gz").set_index("run")
    table = runs.join(_means(layers, "run"), how="inner")
    # Of the unrolled network, whose nodes are the channels at each position.
    table["live_nodes"] = 1 - table.disc_nodes
    table["set"] = np.where(table.method.isin(BEFORE_TRAINING), MGE, WHILE)
    return table.reset_index(drop=True)


def _ramanujan(folder: Path) -> pd.DataFrame:
    layers = pd.read_csv(folder / "ramanujan_layers.csv.gz").rename(columns={"global_sparsity": "sparsity"})
    # The distance from the origin, without the weighted half of the coordinate, which was not published.
    layers["distance"] = np.hypot(layers.ramanujan_gap.fillna(0), layers.imdb.fillna(0))
    finals = pd.read_csv(folder / "ramanujan_curves.csv.gz").rename(columns={"global_sparsity": "sparsity"})
    finals = finals.sort_values("epoch").groupby(TRAINING).test_acc.last().rename("accuracy")
    table = _means(layers, TRAINING).join(layers.groupby(TRAINING).distance.sum()).join(finals, how="inner")
    return table.reset_index().assign(set=RAMANUJAN)


def _means(layers: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """Return the scores of each mask, means over its layers, of the masks without an empty layer."""
    whole = layers[layers.groupby(by).density.transform("min") > 0]
    whole = whole.assign(layer_density=whole.density, log_density=np.log(whole.density))
    known = ["layer_density", "log_density", "ramanujan_gap", "imdb", "imsg"]
    return whole.groupby(by)[[name for name in known if name in whole]].mean()
