"""`fullspectrum launch`: the same search on a described cluster."""

import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import aside
from .clusters.following import follow_job, print_ways_back
from .clusters.meant import settings_of
from .options import AGAIN, RUNS, ClusterName, ClusterSettings, HomeFolder, Settings

if TYPE_CHECKING:
    from ...clusters.job import Job
    from ...clusters.spec.cluster import Cluster
    from ...clusters.targets.target import Target
    from ..config.study import Study

#: Seconds that a job has beyond the grace period of its study: its driver records what is saved, and leaves.
_BEYOND_GRACE = 10.0


def launch(
    cluster: ClusterName,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A .toml file, or a bundled study by name.")],
    settings: Settings = [],  # noqa: B006 - Typer makes a new list for every call
    cluster_settings: ClusterSettings = [],  # noqa: B006
    home: HomeFolder = RUNS,
    target: Annotated[
        str | None, typer.Option("--target", help="Render for this one, such as skypilot; with --dry-run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be given to the cluster, and start nothing.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--detach", help="Follow the search, or leave once it is submitted.")
    ] = True,
) -> None:
    """Search on a cluster: start or reach it, ship the study with its modules, submit it, and follow it.

    Ctrl-C, or the end of the terminal, leaves the search running. Launching it again follows it while it runs, and goes
    on with it after that.

    Example: fullspectrum launch local digits
    """
    from ...clusters.spec.reading import load_cluster
    from ...clusters.targets.registry import target_of
    from ...models.errors import InputError

    found = load_cluster(cluster, cluster_settings)
    if target and not dry_run:
        raise InputError(f"--target {target} is for --dry-run: {found.name} is a cluster of kind {found.kind}")
    study = _kept(study, settings, home)
    names = _names(cluster, study, settings, cluster_settings)
    with tempfile.TemporaryDirectory(prefix="fullspectrum-") as scratch:
        place = target_of(found, aside)
        job = _job(place, study, settings, home, Path(scratch), f"fullspectrum launch {names}")
        if dry_run:
            from ...clusters.rendering import render

            typer.echo(str(render(found, job, target)))
            return
        place.check(job)
        place.up()
        _check_nodes(place, study, settings)
        submission = place.submit(job)
    aside(f"job {submission.id} {'runs already' if submission.already else 'is submitted'} on cluster {found.name}")
    away = place.home(home) != str(home.absolute())
    later = [f"fullspectrum clusters fetch {names}"] if away else []
    if not follow:
        print_ways_back(names, later)
        return
    raise typer.Exit(follow_job(place, job.name, names, later))


def _kept(study: str, settings: list[str], home: Path) -> str:
    """Return the study, of one that can be read only once (stdin) the copy under `home`."""
    from ..config.studyfile import is_stream, keep_study
    from ..files import Home

    return keep_study(study, settings, Home(home)) if is_stream(study) else study


def _names(cluster: str, study: str, settings: list[str], cluster_settings: list[str]) -> str:
    """Return the arguments by which other commands mean the same job."""
    options = [*(f"--set={setting}" for setting in settings), *(f"--cluster-set={each}" for each in cluster_settings)]
    return shlex.join([cluster, study, *options])


def _job(place: "Target", name: str, settings: list[str], home: Path, scratch: Path, again: str) -> "Job":
    """Return the job of a study, with what travels laid out in `scratch`; nothing is started.

    `again` is the command by which the user goes on. Raises InputError or ClusterError for what can be known to fail.
    """
    from ...clusters.auth.secrets import refuse_secrets
    from ...clusters.job import Job
    from ...clusters.jobs import job_name
    from ...clusters.shipping.folder import stage
    from ...clusters.shipping.wheel import build_wheel
    from ..config.studyfile import load_study, names_file
    from ..plan.machines import check_room, machines_of

    cluster = place.cluster
    settings = [*settings, *settings_of(cluster)]
    study = load_study(name, settings)
    is_file = names_file(name)
    texts = [(f"--set {setting.partition('=')[0]}", setting) for setting in settings]
    refuse_secrets([*texts, *([(f"the study file {name}", Path(name).read_text("utf-8-sig"))] if is_file else [])])
    if _is_described(cluster):
        check_room(cluster, machines_of(cluster, {}), study.resources)
    where = place.home(home)
    files = _travelling(study, Path.cwd()) | ({Path(name).name: Path(name)} if is_file else {})
    stage(files, scratch / "job")
    wheel = build_wheel(scratch) if place.ships_package else None
    package = wheel.name.removesuffix("-py3-none-any.whl") if wheel else "no package: that of the image runs"
    aside(", ".join([f"ships {package}", *files]))
    command = ["python", "-m", "fullspectrum.search.cli", "search", Path(name).name if is_file else name]
    command += [*(f"--set={setting}" for setting in settings), f"--home={where}", "--resume"]
    studies = [member.id for member in study.members()]
    return Job(
        job_name(studies),
        command,
        studies,
        scratch / "job" if files else None,
        wheel,
        {**cluster.environment, AGAIN: again},
        study.faults.grace_seconds + _BEYOND_GRACE,
    )


def _is_described(cluster: "Cluster") -> bool:
    """Return whether a cluster's file says what its nodes have; of one that runs already it need not."""
    return not (cluster.hosts and cluster.hosts.address) or bool({"head", "workers"} & cluster.model_fields_set)


def _check_nodes(place: "Target", name: str, settings: list[str]) -> None:
    """Raise ClusterError where a cluster that runs already, and is not described, has no node that can hold a trial."""
    from ..config.studyfile import load_study
    from ..plan.machines import check_room, running_machines

    if not _is_described(place.cluster):
        nodes = {node.name: node.resources for node in place.status().nodes if node.alive}
        check_room(place.cluster, running_machines(nodes), load_study(name, settings).resources)


def _travelling(study: "Study", here: Path) -> dict[str, Path]:
    """Return the user's files that travel with a study, by their names in the folder in which it is searched.

    Raises InputError for a file or a folder that does not travel, and of which the nodes know nothing.
    """
    from ...clusters.shipping.modules import own_modules
    from ...models.errors import InputError
    from ..config.travelling import named_outside
    from .checks import check_readable

    named = named_outside(study)
    for folder in named.folders:
        if not Path(folder).is_absolute():
            raise InputError(
                f'data = "{study.data}" is a folder of this machine, and data does not travel; put it on storage that '
                "all nodes see, and name it by its absolute path"
            )
    travelling = {str(file.relative_to(here.resolve())): file for file in own_modules(named.modules, here)}
    for file in named.files:
        # What is named by its absolute path lies on storage that all nodes see.
        if Path(file).is_absolute():
            continue
        if ".." in Path(file).parts:
            raise InputError(
                f"the file {file!r} of a source lies outside this folder, of which files travel; copy it into this "
                "folder, or name it by its absolute path on storage that all nodes see"
            )
        check_readable(Path(file))
        travelling[str(Path(file))] = Path(file)
    return travelling
