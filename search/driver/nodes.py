"""The nodes of a cluster, looked at before a search begins on them."""

import os
from functools import partial

from ...clusters.errors import ClusterError
from ...clusters.preflight import Needs, unfit_nodes
from ..config.study import Study
from ..config.travelling import named_outside
from ..console import complain
from ..files import StudyFolder
from ..remote.objectstore import ObjectStore


def check_nodes(study: Study, folder: StudyFolder) -> None:
    """Raise ClusterError where a node cannot do its part of a search, after a line for each mistake of each node.

    Ray must be connected to a cluster. The folder of the study must be the same on all nodes, or they must reach the
    store of its files.
    """
    named = named_outside(study)
    needs = Needs(
        None if folder.files else folder.path,
        # What travels with the study, workers find by its relative path.
        [path for path in (*named.files, *named.folders) if os.path.isabs(path)],
        named.modules,
        study.resources.gpus > 0,
        partial(_reach, folder.files) if folder.files else None,
    )
    mistakes = unfit_nodes(needs)
    for mistake in mistakes:
        complain(mistake)
    if mistakes:
        raise ClusterError("the search does not begin: mend these nodes, or take them out of the cluster")


def _reach(files: str) -> None:
    """Raise InputError where the store of a study's files cannot be used from here."""
    ObjectStore(files).check(wait=False)
