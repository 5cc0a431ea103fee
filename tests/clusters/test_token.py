"""The token of a cluster: made for its owner alone, and refused where others may read it."""

import pytest
from fullspectrum.clusters.auth.secrets import refuse_secrets
from fullspectrum.clusters.auth.token import existing_token, make_token
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.spec.cluster import Cluster


@pytest.fixture
def cluster(tmp_path) -> Cluster:
    settings = {"kind": "local", "name": "here", "auth": {"token_file": str(tmp_path / "new" / "token")}}
    return Cluster.model_validate(settings)


def test_a_token_is_made_once_and_for_its_owner_alone(cluster):
    file = make_token(cluster)
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(text) == 64 and make_token(cluster).read_text() == text


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
def test_a_token_that_others_may_read_is_refused(cluster, mode):
    make_token(cluster).chmod(mode)
    for find in (existing_token, make_token):
        with pytest.raises(ClusterError, match=f"open to others \\(mode {mode:04o}\\); chmod 600"):
            find(cluster)


def test_of_a_cluster_that_stands_already_no_token_is_made_up(cluster):
    with pytest.raises(ClusterError, match=r"there is no token of cluster 'here' in '.*token'; copy that of its head"):
        existing_token(cluster)


def test_an_empty_token_is_refused(cluster):
    make_token(cluster).write_text("\n")
    with pytest.raises(ClusterError, match="is empty"):
        existing_token(cluster)


def test_a_secret_in_a_text_that_others_see_is_refused_and_not_repeated():
    with pytest.raises(ClusterError) as caught:
        refuse_secrets([("--set a", "a=1"), ("--set tracking.storage", "postgresql://ada:hunter2@db/x")])
    assert str(caught.value).startswith("--set tracking.storage holds a secret") and "hunter2" not in str(caught.value)
