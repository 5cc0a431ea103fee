"""The learned score on public results: what it is fitted to, and how it ranks masks that it has not seen."""

import json
from dataclasses import replace
from datetime import date
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from fullspectrum.models.files import write_atomically
from fullspectrum.search.protocol.ranking import Ranking
from fullspectrum.search.scores.fitting import Examples, fit
from fullspectrum.search.scores.learned import SHIPPED
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from .publicdata import MGE, RAMANUJAN
from .ranks import mean, partial, spearman, within_groups

#: The scores that both sets have: Δr and Δr_imdb in other units, which does not matter within a group.
SHARED = ("log_density", "layer_density", "ramanujan_gap", "imdb")

#: What a ranking can be fitted to.
CHOICES = (
    ("log_density",),
    ("layer_density",),
    ("log_density", "layer_density"),
    ("log_density", "imdb"),
    ("log_density", "layer_density", "imdb"),
    SHARED,
)

#: What comes with the package: what ranks the masks of a network best that the fit has not seen.
CHOSEN = CHOICES[0]

#: Masks of a small study, and draws of them from each group.
MASKS, DRAWS = 12, 20

#: The masks that the prior counts for.
PRIORS = (1, 4, 16, 64, 256)


def examples(table: pd.DataFrame, names: tuple[str, ...] = SHARED, ranked: bool = False) -> Examples:
    """Return masks as they are fitted to; `ranked`: with the ranks of their scores in place of these."""
    columns = table[list(names)]
    if ranked:
        columns = columns.groupby(table.group).transform(lambda values: (rankdata(values) - 0.5) / len(values))
    scores = {name: columns[name].to_numpy() for name in names}
    return Examples(scores, table.accuracy.to_numpy(), table.group.to_numpy())


def print_held_out(console: Console, public: pd.DataFrame) -> None:
    """Print ρ on what a ranking was not fitted to: the other set, and each network by all others."""
    chosen = public[public.set.isin((MGE, RAMANUJAN))]
    one, other = (chosen[chosen.set == name] for name in (MGE, RAMANUJAN))
    networks = [(chosen[chosen.network != name], chosen[chosen.network == name]) for name in chosen.network.unique()]
    table = Table(title="fitted to one, tested on another: ρ / given layer density", title_justify="left")
    table.add_column("scores")
    for heading in (f"{MGE} → {RAMANUJAN}", f"{RAMANUJAN} → {MGE}", "each network by the others"):
        table.add_column(heading, justify="right")
    for names in CHOICES:
        cells = []
        for splits in ([(one, other)], [(other, one)], networks):
            # Every network counts alike.
            found = [_tested(fit(examples(train, names)), test, names) for train, test in splits]
            if len(splits) == 1:
                cells.append(" / ".join(str(mean(column)) for column in found[0]))
            else:
                parts = [np.mean([mean(columns[part]).value for columns in found]) for part in (0, 1)]
                cells.append(" / ".join(f"{value:+.2f}" for value in parts if np.isfinite(value)))
        table.add_row(", ".join(names), *cells)
    console.print(table)
    for name, test in ((MGE, one), (RAMANUJAN, other)):
        given = mean(within_groups(test, CHOSEN[0], "layer_density"))
        verdict = "reaches" if given.value >= 0.5 else "does not reach"
        console.print(
            f"log density, fixed in advance by our own masks, given layer density: {given} {verdict} 0.5 on {name}"
        )


def _tested(ranking: Ranking, table: pd.DataFrame, names: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Return ρ of a ranking in each group of a table, raw and given layer density."""
    raw, given = [], []
    for _, group in table.groupby("group"):
        values = _values(_fitted_to(ranking, group, names), examples(group, names))
        raw.append(spearman(values, group.accuracy.to_numpy()))
        given.append(partial(values, group.accuracy.to_numpy(), group.layer_density.to_numpy()))
    return raw, given


def _fitted_to(ranking: Ranking, group: pd.DataFrame, names: tuple[str, ...]) -> Ranking:
    """Return the ranking with the scales of a group: another network's scores have another spread."""
    scales = fit(examples(group, names)).terms
    terms = {
        name: replace(term, scale=scales[name].scale, centre=scales[name].centre)
        for name, term in ranking.terms.items()
        if name in scales
    }
    return Ranking(terms)


def _values(ranking: Ranking, given: Examples) -> np.ndarray:
    rows = range(len(given.merits))
    return np.array([ranking.value({name: float(each[row]) for name, each in given.scores.items()}) for row in rows])


def print_small_studies(console: Console, public: pd.DataFrame) -> None:
    """Print ρ on the other masks of a group of rankings that are fitted to few, by what the prior counts."""
    title = f"fitted to {MASKS} masks of a group, the prior to the other set: ρ on the others of the group"
    table = Table(title=title, title_justify="left")
    for heading in ("set", "held out", "scores as", "prior alone", *(f"prior of {count}" for count in PRIORS)):
        table.add_column(heading, justify="left" if heading in ("set", "held out", "scores as") else "right")
    for name, other in ((MGE, RAMANUJAN), (RAMANUJAN, MGE)):
        test, prior = public[public.set == name], fit(examples(public[public.set == other], CHOSEN))
        for held_out in ("any masks", "whole sources"):
            for ranked in (False, True):
                kind = "ranks" if ranked else "they are"
                counts = (1e9, *PRIORS)
                cells = np.nanmean(_small_studies(test, prior, held_out == "whole sources", ranked, counts), axis=0)
                table.add_row(name, held_out, kind, *(f"{cell:+.2f}" for cell in cells))
    console.print(table)


def _small_studies(
    table: pd.DataFrame, prior: Ranking, sources: bool, ranked: bool, counts: tuple[float, ...]
) -> list[list[float]]:
    generator, found = np.random.default_rng(0), []
    for _, group in table.groupby("group"):
        whole, methods = examples(group, SHARED, ranked), group.method.to_numpy()
        for _ in range(DRAWS if len(group) >= MASKS + 5 else 0):
            if sources:
                fitted = np.isin(methods, generator.permutation(np.unique(methods))[:4])
            else:
                fitted = np.isin(np.arange(len(group)), generator.permutation(len(group))[:MASKS])
            if fitted.sum() < 6 or (~fitted).sum() < 4:
                continue
            rankings = [fit(_part(whole, fitted), prior, count) for count in counts]
            rest = _part(whole, ~fitted)
            found.append([spearman(_values(ranking, rest), rest.merits) for ranking in rankings])
    return found


def _part(given: Examples, rows: np.ndarray) -> Examples:
    return Examples({name: each[rows] for name, each in given.scores.items()}, given.merits[rows], given.groups[rows])


def write(public: pd.DataFrame) -> Path:
    """Write the ranking that comes with the package, with its provenance; return its path."""
    chosen = public[public.set.isin((MGE, RAMANUJAN))]
    ranking = replace(fit(examples(chosen, CHOSEN)), masks=0)
    provenance = {
        "data": {
            MGE: "github.com/eliacunegatti/mge-snn, masks chosen before training",
            RAMANUJAN: "github.com/VITA-Group/ramanujan-on-pai",
        },
        "masks": {name: int((chosen.set == name).sum()) for name in (MGE, RAMANUJAN)},
        "groups": int(chosen.group.nunique()),
        "date": date.today().isoformat(),
        "command": "python -m tests.benchmarks.replay FOLDER --fit",
    }
    path = Path(str(resources.files("fullspectrum.search.scores") / SHIPPED))
    write_atomically(path, (json.dumps({"provenance": provenance, **ranking.to_dict()}, indent=2) + "\n").encode())
    return path
