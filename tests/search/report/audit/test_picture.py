"""The picture of an audit shows every score's correlations and their intervals."""

import matplotlib.image
import numpy as np
from fullspectrum.search.report.audit.audit import audit
from fullspectrum.search.report.audit.picture import plot_audit

from .tables import planted, table


def test_every_score_has_a_row_with_each_correlation_at_its_value(tmp_path, figures):
    columns = planted(30, 0)
    found = audit(table(**columns, weak=np.arange(30.0), constant=np.zeros(30), source=np.tile(["a", "b"], 15)))
    plot_audit(found, "a title", tmp_path / "report" / "audit.png")
    (axes,) = figures[-1].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    # The strongest on top; a constant column ranks nothing.
    assert names == [name for name in found.associations if name != "constant"]
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines if not line.get_label().startswith("_")}
    assert drawn["raw"] == [found.associations[name].raw.value for name in names]
    assert drawn["within sources"] == [found.associations[name].within.value for name in names]
    given = [found.associations[name].given for name in names if name != "layer_density"]
    assert drawn["given layer density"] == [each["layer_density"].value for each in given]
    assert matplotlib.image.imread(tmp_path / "report" / "audit.png").std() > 0


def test_a_picture_is_drawn_of_what_ranks_nothing_too(tmp_path):
    plot_audit(audit(table(accuracy=np.zeros(9), l2=np.arange(9.0))), "nothing", tmp_path / "audit.svg")
    assert (tmp_path / "audit.svg").stat().st_size > 0
