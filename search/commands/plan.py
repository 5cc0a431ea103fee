"""`fullspectrum plan`: what a search on a cluster would take."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .options import RUNS, HomeFolder, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..files import Home
    from ..plan.estimate import Estimate
    from ..plan.times import Times

#: Seconds that a node takes to boot, by kind; none where machines stand already.
_BOOT = {"aws": 240.0, "gcp": 180.0, "kuberay": 120.0, "slurm": 30.0}

#: Seconds that a worker takes to start, mostly for importing torch, and the driver to begin and to end.
_WORKER, _DRIVER = 8.0, 20.0

#: Trials that are measured where nothing else is said.
_MEASURED = 3


def plan(
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="A cluster: a .toml file, or a bundled one.")],
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study: a .toml file, or a bundled one.")],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    home: HomeFolder = RUNS,
    trials_from: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Take the times of a study that has run: its id, name or .toml.")
    ] = None,
    measure: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Time so many trials here first; default: 3.")
    ] = None,
    speed: Annotated[
        list[str],
        typer.Option(metavar="TYPE=FACTOR", help="How many times as fast an accelerator is; may be given again."),
    ] = [],  # noqa: B006 - Typer makes a new list for every call
    boot: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Seconds that a node takes to boot.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Say what a search on a cluster would take: hours, GPU hours, disk and money, and what that assumes.

    A few trials are timed here, or the times of a study that has run are taken. Then the search is simulated on the
    nodes that the cluster file describes, at its prices. Nothing is started there.

    Example: fullspectrum plan aws digits --measure 3 --speed A10G=6
    """
    from ...clusters.spec.reading import load_cluster
    from ...models.errors import InputError
    from ..config.studyfile import load_study
    from ..files import Home

    if trials_from is not None and measure is not None:
        raise InputError("--trials-from and --measure are two ways to the same times; give one of them")
    described, speeds = load_cluster(cluster), _speeds(speed)
    members = load_study(study, settings).members()
    first = members[0]

    from ..plan.estimate import estimate
    from ..plan.machines import check_room, machines_of
    from ..plan.simulation import Overheads

    # What cannot be is said before anything is measured.
    check_room(described, machines_of(described, speeds), first.resources)
    known = None if trials_from is None else _of_study(trials_from, Home(home))

    from ..plan.measuring import measured
    from ..plan.workload import proposals_of, workload_of
    from ..worker.preparation import prepare

    workbench = prepare(first)
    proposals = proposals_of(workbench)
    times = known or measured(workbench, proposals, measure or _MEASURED)
    overheads = Overheads(_BOOT.get(described.kind, 0.0) if boot is None else boot, _WORKER, _DRIVER)
    found = estimate(described, workload_of(workbench, proposals), times, overheads, speeds)
    if as_json:
        typer.echo(json.dumps({"cluster": described.name, "study": first.id, **found.to_dict()}, allow_nan=False))
    else:
        _print(found, f"study {first.id} on cluster {described.name}", len(members))


def _speeds(given: list[str]) -> dict[str, float]:
    """Return the speeds of accelerators. Raises InputError for one that has another form."""
    from ...models.errors import InputError

    speeds = {}
    for one in given:
        name, _, factor = one.partition("=")
        try:
            speeds[name.strip()] = float(factor)
        except ValueError:
            speeds[name.strip()] = 0.0
        if not name.strip() or not 0 < speeds[name.strip()] < float("inf"):
            raise InputError(f"--speed {one}: expected TYPE=FACTOR with a factor above 0, for example --speed A100=6")
    return speeds


def _of_study(name: str, home: "Home") -> "Times":
    """Return the times of a study under `home`."""
    from ..config.studyfile import find_study
    from ..plan.times import Times
    from ..store.ledger import Ledger

    study, folder = find_study(name, [], home)
    return Times.of_study(study, folder, Ledger.of_folder(study, folder).trials())


def _print(found: "Estimate", title: str, members: int) -> None:
    from rich.console import Console

    from ..screen.console import print_line

    console = Console()
    print_line(console, title)
    for name, fact in _facts(found):
        print_line(console, f"  {name:<14}{fact}")
    if members > 1:
        print_line(console, f"  This is the first of {members} studies, which are searched one after the other.")
    print_line(console, "It assumes:")
    for line in found.assumptions:
        print_line(console, f"  - {line}")


def _facts(found: "Estimate") -> "Iterator[tuple[str, str]]":
    spread = f" ({_hours(found.least)} to {_hours(found.most)}, as the gate falls)" if found.most > found.least else ""
    yield "time", _hours(found.seconds) + spread
    yield "", ", ".join(f"{name} {_hours(seconds)}" for name, seconds in found.phases.items())
    yield "GPU hours", f"{found.gpu_hours:,.2f}"
    yield "node hours", ", ".join(f"{name} {hours:,.2f}" for name, hours in found.node_hours.items() if hours)
    yield "money", "not known: a group has no price" if found.money is None else f"{found.money:,.2f}"
    yield "disk", f"{found.disk.total / 1e6:,.1f} MB, and {found.disk.passing / 1e6:,.1f} MB of checkpoints meanwhile"


def _hours(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
