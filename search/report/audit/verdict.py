"""What an audit says in plain sentences."""

import math

import numpy as np

from ...scores.registry import SCORES, score_called
from ..verdicts import WAYS
from .association import Association
from .audit import FEWEST, Audit
from .interval import Estimate
from .power import power
from .table import CONTROLS

#: A lead over layer density that would matter: a score is "no better" only where the interval leaves it out.
_MATTERS = 0.2

_CONTROL = CONTROLS[0]


def verdict(audit: Audit) -> str:
    """Return one sentence: whether the judged score ranks masks, and whether it does so better than layer density.

    It is better, or worse, where the 95 % interval of the difference of the two correlations leaves 0 out, and no
    better where it leaves out that it leads by 0.2; in between it cannot be told. Where no mask trained better than
    guessing, that is said instead.
    """
    if not audit.table.learned:
        return _nothing_learned(audit)
    name = audit.judged
    subject = "masks" if name is None else called(name)
    if audit.trainings < FEWEST:
        return (
            f"Whether {subject} can be trusted cannot be told with {_trainings(audit.trainings)} to compare; "
            f"it takes at least {FEWEST}."
        )
    if name is None:
        return "There is no score to judge."
    found = audit.associations[name]
    if math.isnan(found.raw.value):
        return f"All masks are alike in {_bare(name)} or in accuracy: nothing can be ranked."
    if found.lead is None or math.isnan(found.lead.value):
        return f"{_choice(audit)}{_alone(audit, name, found)}{_carried(audit, found)}."
    return f"{_choice(audit)}{_beside_density(name, found, audit.choices)}{_carried(audit, found)}."


def brief(audit: Audit) -> str:
    """Return the verdict in a few words, for a table."""
    if not audit.table.learned:
        return "nothing was learned"
    if audit.trainings < FEWEST or audit.judged is None:
        return f"too few trainings ({audit.trainings:,})"
    found = audit.associations[audit.judged]
    if math.isnan(found.raw.value):
        return "nothing to rank"
    short = f"{audit.judged} {found.raw.value:+.2f}"
    if found.lead is None or math.isnan(found.lead.value):
        return short
    better = _better(found.lead.among(audit.choices))
    return f"{short}, {better} than layer density" if better else f"{short}, not told from layer density"


def called(name: str) -> str:
    """Return a score as sentences call it: one of ours by its label."""
    return f"the {_bare(name)}" if name in SCORES else name


def _nothing_learned(audit: Audit) -> str:
    best = float(np.nanmax(audit.table.accuracy))
    return (
        f"No score can be judged: no mask trained better than guessing ({_trainings(audit.trainings)}, the best "
        f"accuracy {best:.4f}, and guessing may reach {audit.table.chance:.4f}). {WAYS}."
    )


def _bare(name: str) -> str:
    return score_called(name).label if name in SCORES else name


def _trainings(count: int) -> str:
    return f"{count:,} training" + ("s" if count != 1 else "")


def _choice(audit: Audit) -> str:
    """Return how the score was chosen, where that flatters it."""
    return f"Of {audit.choices} scores the strongest: " if audit.choices > 1 else "On this task "


def _alone(audit: Audit, name: str, found: Association) -> str:
    """Return whether a score ranks masks, where there is no layer density to compare it with."""
    control = ", the control itself," if name == _CONTROL else ""
    least = power(found.count, audit.groups, audit.choices).told
    shown = found.raw.sign if abs(found.raw.value) > least else 0
    ranks = {1: "ranks masks", -1: "ranks masks backwards", 0: "is not shown to rank masks"}[shown]
    luck = f"; of so many scores one may reach {least:.2f} by luck" if audit.choices > 1 else ""
    return f"{called(name)}{control} {ranks} (Spearman {_interval(found.raw)}, {_trainings(found.count)}{luck})"


def _beside_density(name: str, found: Association, choices: int) -> str:
    assert found.lead is not None
    lead, density = found.lead.among(choices), _bare(_CONTROL)
    wider = f", widened for the choice among {choices}" if choices > 1 else ""
    facts = (
        f"Spearman {found.raw.value:+.2f} against {found.raw.value - lead.value:+.2f}, 95 % interval of the difference "
        f"{lead.low:+.2f} to {lead.high:+.2f}{wider}, {_trainings(found.count)}"
    )
    better = _better(lead)
    if better is None:
        return f"it cannot be told whether {called(name)} ranks masks better than {density} ({facts})"
    return f"{called(name)} ranks masks {better} than {density} ({facts})"


def _better(lead: Estimate) -> str | None:
    """Return whether a score with this lead over layer density is better; None where that cannot be told."""
    if not lead.sign and lead.high >= _MATTERS:
        return None
    return {1: "better", -1: "worse", 0: "no better"}[lead.sign]


def _carried(audit: Audit, found: Association) -> str:
    """Return what is left of a correlation once the source that carries it is left out, where that is nothing."""
    carrier = found.carrier
    if not found.raw.sign or carrier is None or abs(found.raw.value) <= audit.power.told:
        return ""
    rest = found.without[carrier]
    least = power(_rest(audit, carrier), audit.groups).told
    if abs(rest) > least and rest * found.raw.value > 0:
        return ""
    return f"; without the masks of {carrier} its correlation is {rest:+.2f}"


def _rest(audit: Audit, carrier: str) -> int:
    table = audit.table
    labels = table.groups if table.sources is None else table.sources
    return int(((labels != carrier) & table.trained).sum())


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.2f}, 95 % interval {estimate.low:+.2f} to {estimate.high:+.2f}"
