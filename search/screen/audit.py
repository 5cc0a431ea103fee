"""An audit on the terminal."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console

from ..report.audit.association import Association
from ..report.audit.audit import FEWEST, Audit
from ..report.audit.findings import findings
from ..report.audit.interval import Estimate
from ..report.audit.table import CONTROLS
from ..report.audit.verdict import verdict
from .console import print_line
from .fitting import FittingTable

#: Scores of the small table that ends a search.
_FEW = 4


def print_audit(console: Console, audit: Audit) -> None:
    """Print all that an audit says: what is audited, its tables, its findings and its verdict."""
    table = audit.table
    within = f", ranked within {audit.groups:,} groups" if audit.groups > 1 else ""
    print_line(console, f"{table.name}: {len(table.masks):,} masks, {audit.trainings:,} trainings to compare{within}")
    print_line(console, f"Accuracy: {table.described}.")
    if table.ignored:
        print_line(console, f"No scores: {', '.join(table.ignored)}.")
    if audit.associations and audit.trainings >= FEWEST:
        _print_tables(console, audit)
    for sentence in (*findings(audit), verdict(audit)):
        print_line(console, sentence)


def print_compact(console: Console, audit: Audit) -> None:
    """Print the few scores that rank best, the judged one and layer density always; nothing of too few trainings."""
    if audit.trainings < FEWEST or not audit.associations:
        return
    names = list(audit.associations)
    always = [name for name in dict.fromkeys((audit.judged, CONTROLS[0])) if name in audit.associations]
    others = [name for name in names if name not in always][: max(_FEW - len(always), 0)]
    print_line(console)
    _print_ranks(console, audit, [name for name in names if name in (*always, *others)])


def _print_tables(console: Console, audit: Audit) -> None:
    print_line(console)
    _print_ranks(console, audit, list(audit.associations))
    one = "source" if audit.table.sources is not None else "group"
    if any(each.within or each.without for each in audit.associations.values()):
        print_line(console, f"The same within sources, and with one {one} left out:")
        console.print(_source_table(audit, one))
    if audit.worths:
        part = f"{audit.table.quantile:.0%}"
        judged = f"of {audit.sample.described}, by {audit.table.reached_described}"
        print_line(console, f"Each score as the gate that lets {part} pass, {judged}:")
        console.print(_gate_table(audit))


def _print_ranks(console: Console, audit: Audit, names: Sequence[str]) -> None:
    """Print how these scores rank accuracies: raw, and given each control that the table has."""
    controls = [name for name in CONTROLS if any(name in audit.associations[each].given for each in names)]
    headings = {name: f"given {name}" for name in controls}
    table = _table("n", *headings.values())
    table.add_column("n", justify="right", no_wrap=True)
    for heading in ("raw", *headings.values()):
        table.add_column(heading)
    for name in names:
        found = audit.associations[name]
        given = (found.given.get(control) for control in controls)
        table.add_row(name, f"{found.count:,}", _estimate(found.raw), *map(_estimate, given))
    print_line(console, "Spearman's correlation with accuracy, and its 95 % interval:")
    console.print(table)


def _source_table(audit: Audit, one: str) -> FittingTable:
    table = _table()
    table.add_column("within sources", no_wrap=True)
    table.add_column(f"without one {one}", no_wrap=True)
    table.add_column("weakest without")
    for name, found in audit.associations.items():
        table.add_row(name, _estimate(found.within), _range(found), found.carrier or "")
    return table


def _gate_table(audit: Audit) -> FittingTable:
    table = _table("by chance", "tenth over middle")
    for heading in ("gain", "regret", "by chance", "tenth over middle"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, each in audit.worths.items():
        top = f"{each.top.difference:+.4f} ± {each.top.error:.4f}" if each.top else ""
        gain = f"{each.gain:+.4f} ± {each.error:.4f}"
        table.add_row(name, gain, f"{each.regret:.4f}", f"{each.chance_regret:.4f}", top)
    return table


def _table(*spare: str) -> FittingTable:
    """Return a table whose first column holds the scores, with the headings that it can do without."""
    table = FittingTable(
        spare=spare, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False
    )
    table.add_column("score", no_wrap=True)
    return table


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return ""
    return f"{estimate.value:+.2f} [{estimate.low:+.2f} {estimate.high:+.2f}]"


def _range(found: Association) -> str:
    known = [rho for rho in found.without.values() if not math.isnan(rho)]
    return f"{min(known):+.2f} to {max(known):+.2f}" if known else ""
