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
    print_line(
        console, f"{table.name}: {len(table.masks):,} masks, {audit.trainings:,} trainings to compare{_within(audit)}"
    )
    print_line(console, f"accuracy: {table.described}")
    if table.ignored:
        print_line(console, f"no scores: {', '.join(table.ignored)}")
    if audit.associations and audit.trainings:
        _print_tables(console, audit)
    for sentence in (*findings(audit), verdict(audit)):
        print_line(console, sentence)


def _within(audit: Audit) -> str:
    return f", ranked within {audit.groups:,} groups" if audit.groups > 1 else ""


def _print_tables(console: Console, audit: Audit) -> None:
    names = list(audit.associations)
    print_line(console)
    console.print(rank_table(audit, names))
    if any(each.within or each.without for each in audit.associations.values()):
        console.print(_source_table(audit))
    if audit.worths:
        console.print(_gate_table(audit))


def compact_table(audit: Audit) -> FittingTable | None:
    """Return the few scores that rank best, the judged one and layer density always; None where there is no ranking."""
    if audit.trainings < FEWEST or not audit.associations:
        return None
    names = list(audit.associations)
    always = [name for name in (audit.judged, CONTROLS[0]) if name in audit.associations]
    others = [name for name in names if name not in always][: max(_FEW - len(always), 0)]
    return rank_table(audit, [name for name in names if name in (*always, *others)])


def rank_table(audit: Audit, names: Sequence[str]) -> FittingTable:
    """Return how these scores rank accuracies: raw, and given each control that the table has."""
    controls = [name for name in CONTROLS if any(name in audit.associations[each].given for each in names)]
    headings = {name: f"given {name}" for name in controls}
    table = _table(("n", *headings.values()), "Spearman's correlation with accuracy, and its 95 % interval")
    table.add_column("score", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for heading in ("raw", *headings.values()):
        table.add_column(heading, no_wrap=True)
    for name in names:
        found = audit.associations[name]
        given = (found.given.get(control) for control in controls)
        table.add_row(name, f"{found.count:,}", _estimate(found.raw), *map(_estimate, given))
    return table


def _source_table(audit: Audit) -> FittingTable:
    one = "source" if audit.table.sources is not None else "group"
    table = _table(
        (), "The same within sources, and with one left out" if one == "source" else "The same with a group left out"
    )
    table.add_column("score", no_wrap=True)
    table.add_column("within sources", no_wrap=True)
    table.add_column(f"without one {one}", no_wrap=True)
    table.add_column("weakest without")
    for name, found in audit.associations.items():
        table.add_row(name, _estimate(found.within), _range(found), found.carrier or "")
    return table


def _gate_table(audit: Audit) -> FittingTable:
    part = f"{audit.table.quantile:.0%}"
    table = _table(("tenth over middle",), f"As the gate, {part} passing, of {audit.sample.described}")
    table.add_column("score", no_wrap=True)
    for heading in ("gain", "regret", "by chance", "tenth over middle"):
        table.add_column(heading, justify="right")
    for name, each in audit.worths.items():
        top = f"{each.top.difference:+.4f} ± {each.top.error:.4f}" if each.top else ""
        gain = f"{each.gain:+.4f} ± {each.error:.4f}"
        table.add_row(name, gain, f"{each.regret:.4f}", f"{each.chance_regret:.4f}", top)
    return table


def _table(spare: Sequence[str], title: str) -> FittingTable:
    return FittingTable(
        spare=spare,
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return ""
    return f"{estimate.value:+.2f} [{estimate.low:+.2f} {estimate.high:+.2f}]"


def _range(found: Association) -> str:
    known = [rho for rho in found.without.values() if not math.isnan(rho)]
    return f"{min(known):+.2f} to {max(known):+.2f}" if known else ""
