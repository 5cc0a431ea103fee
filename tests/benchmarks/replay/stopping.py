"""Early stopping, replayed on the learning curves of public trainings."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from fullspectrum.search.config.stages import Gate, Warmup
from fullspectrum.search.driver.referee import Referee
from rich.console import Console
from rich.table import Table

from .publicdata import GROUP
from .ranks import mean, spearman

#: Column, and sign with which higher is better, of what trainings can be compared by.
METRICS = {
    "validation accuracy": ("val_acc", 1),
    "training loss of the epoch": ("train_loss", -1),
    "sum of training losses": ("loss_sum", -1),
}
EPOCHS = (1, 2, 3, 5, 10, 20, 40, 80, 160, 250)
GRACE = (5, 10, 25, 50, 75, 100, 125, 150)

#: Orders in which the trainings of a group are replayed.
ORDERS = 40


@dataclass(frozen=True)
class Replayed:
    """The trainings of one group: arrays of shape (trainings, epochs), and their final test accuracies."""

    columns: dict[str, np.ndarray]
    final: np.ndarray

    def regret(self, chosen: int) -> float:
        """Points of final test accuracy by which the chosen training is worse than the best."""
        return 100 * float(self.final.max() - self.final[chosen])


def replayed(curves: pd.DataFrame) -> list[Replayed]:
    """Return the groups of trainings that are compared with one another."""
    found = []
    for _, group in curves.groupby(GROUP):
        pivots = {
            column: group.pivot_table(index=["seed", "method"], columns="epoch", values=column)
            for column in ("val_acc", "train_loss", "loss_sum", "final")
        }
        columns = {name: pivot.to_numpy() for name, pivot in pivots.items()}
        found.append(Replayed(columns, columns.pop("final")[:, -1]))
    return found


def print_metrics(console: Console, groups: list[Replayed]) -> None:
    """Print ρ with the final accuracy, and regret, of each metric by epoch."""
    table = Table(title="ρ with final test accuracy / regret (points) of the best by", title_justify="left")
    table.add_column("epoch", justify="right")
    for name in METRICS:
        table.add_column(name, justify="right")
    for epoch in EPOCHS:
        cells = []
        for column, sign in METRICS.values():
            values = [sign * group.columns[column][:, epoch - 1] for group in groups]
            rho = mean([spearman(value, group.final) for value, group in zip(values, groups, strict=True)])
            regret = np.mean([g.regret(int(np.argmax(value))) for value, g in zip(values, groups, strict=True)])
            cells.append(f"{rho} / {regret:.2f}")
        table.add_row(str(epoch), *cells)
    console.print(table)


def print_halving(console: Console, groups: list[Replayed]) -> None:
    """Print what successive halving saves and loses, by metric and first rung."""
    epochs = groups[0].columns["val_acc"].shape[1]
    table = Table(
        title=f"Successive halving by 3 of trainings of {epochs} epochs: training saved, regret beyond that without "
        "stopping (points), how often the best is stopped",
        title_justify="left",
    )
    table.add_column("first rung", justify="right")
    for name in METRICS:
        table.add_column(name, justify="right")
    for grace in GRACE:
        cells = []
        for name in METRICS:
            outcomes = np.array([_halve(group, name, grace, epochs) for group in groups])
            saved, regret, lost = (mean(column.tolist()) for column in outcomes.T)
            cells.append(f"{saved.value:.0%}, {regret}, {lost.value:.0%} [{lost.low:.0%}, {lost.high:.0%}]")
        table.add_row(f"{grace} ({grace / epochs:.0%})", *cells)
    console.print(table)


def _halve(group: Replayed, name: str, grace: int, epochs: int) -> tuple[float, float, float]:
    """Return the fraction of training saved, the regret beyond that of no stopping, and how often the best is lost."""
    column, sign = METRICS[name]
    metric = "training_loss" if column == "loss_sum" else "accuracy"
    warmup = Warmup(iterations=epochs, report_every=epochs, grace_period=grace, metric=metric)
    generator, found = np.random.default_rng(0), []
    last = group.columns["val_acc"][:, -1]
    for _ in range(ORDERS):
        order = generator.permutation(len(group.final))
        referee = Referee(warmup, Gate(quantile=1.0, control=0.0), 0)
        for number, training in enumerate(order.tolist()):
            referee.scored(number, 1.0)
            before, total = 0, 0.0
            for rung in warmup.rungs:
                value, so_far = (group.columns[c][training, rung - 1] for c in (column, "loss_sum"))
                referee.measured(number, rung, float(sign * value), float((so_far - total) / (rung - before)))
                before, total = rung, so_far
            referee.ended(number)
        stops = [referee.stopped(number) for number in range(len(order))]
        finished = order[[stop is None for stop in stops]]
        saved = 1 - sum(stop or epochs for stop in stops) / (epochs * len(order))
        regret = group.regret(int(finished[np.argmax(last[finished])])) - group.regret(int(np.argmax(last)))
        found.append((saved, regret, float(np.argmax(group.final) not in finished)))
    return tuple(np.mean(found, axis=0).tolist())
