"""Addresses of pages in the MLflow UI, from the address of the UI on, and links to them in descriptions."""

import re
from collections.abc import Callable

#: The key, and the name, of the saved view of a study's runs.
LEADERBOARD = "leaderboard"

#: What a link in a description begins with before runs have ids: `[name](run:KEY)`, `[name](view:KEY)`.
RUN_LINK, VIEW_LINK = "run:", "view:"

_LINK = re.compile(rf"\[([^\]]*)\]\(({RUN_LINK}|{VIEW_LINK})([^)]*)\)")

#: MLflow 3.17 has two views, one of them for the traces of language models; a page that does not name one opens in
#: whichever was seen last, at first in that one.
_VIEW = "workflowType=machine_learning"

#: The list of all experiments.
EXPERIMENTS = f"#/experiments?{_VIEW}"


def run_page(experiment: str, run: str) -> str:
    """Return the address of a run, by the MLflow ids of its experiment and of itself."""
    return f"#/experiments/{experiment}/runs/{run}?{_VIEW}"


def runs_page(experiment: str, view: str | None) -> str:
    """Return the address of an experiment's runs, in its saved view of the key `view` where there is one."""
    return f"#/experiments/{experiment}/runs?{_VIEW}" + (f"&viewStateShareKey={view}" if view else "")


def linked(text: str, experiment: str, find_run: Callable[[str], str | None]) -> str:
    """Return a description whose links lead to pages; `find_run` returns the MLflow id of a run by its key.

    Where it returns None the name stands there alone.
    """

    def link(found: re.Match[str]) -> str:
        name, kind, key = found.groups()
        if kind == VIEW_LINK:
            return f"[{name}]({runs_page(experiment, key)})"
        run = find_run(key)
        return f"[{name}]({run_page(experiment, run)})" if run else name

    return _LINK.sub(link, text)
