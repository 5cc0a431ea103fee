"""What every node of a cluster has in its environment."""

import math

from ..job import Job
from ..spec.cluster import Cluster

#: Where the token is on a node, and the files of secrets, each named by its variable.
TOKEN = "~/.fullspectrum/token"
SECRETS = "~/.fullspectrum/secrets"

#: Settings of Ray on all nodes. It notices a silently lost node within 8 s, and a node or a driver a lost head within
#: 10 s; by default either takes a minute and more.
RAY_SETTINGS = {
    # No port: Ray's autoscaler and dashboard would show their metrics to whoever asks, without a token.
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}


def node_environment(cluster: Cluster, job: Job) -> dict[str, str]:
    """Return the environment variables of all nodes, but for token and secrets."""
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # By default Ray kills a job 3 s after it asked it to stop; it takes whole seconds.
        "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(job.grace_seconds)),
        **RAY_SETTINGS,
        **cluster.environment,
    }
