"""What is started on this machine."""

import shlex

from ..job import Job
from ..secretfiles import token_file
from ..spec.cluster import Cluster
from .environment import RAY_SETTINGS
from .rendered import Rendered
from .submission import submission

#: What keeps a Ray on loopback, and lets it end at once.
_SETTINGS = {
    # Ray's own way of saying that there will be no other nodes: nothing listens beyond 127.0.0.1 then.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # What is shipped is installed from a file, and asks no index.
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INDEX": "1",
}


def head_environment(cluster: Cluster) -> dict[str, str]:
    """Return the environment variables of the head, but for its secrets."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file(cluster))}
    return {**_SETTINGS, **RAY_SETTINGS, **cluster.environment, **token}


def head_options(cluster: Cluster) -> list[str]:
    """Return the options of `ray start`, but for its folder and the two ports that must be chosen."""
    return [
        "--head",
        "--block",
        "--disable-usage-stats",
        "--node-ip-address=127.0.0.1",
        "--dashboard-host=127.0.0.1",
        # Ports that are free: those that Ray has by default may be another's.
        "--port=0",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--dashboard-agent-listen-port=0",
        f"--num-cpus={cluster.head.cpus}",
        f"--num-gpus={cluster.head.gpus}",
    ]


def render_local(cluster: Cluster, job: Job) -> Rendered:
    """Return `ray.sh`, the command that starts Ray on loopback only, and `job.json`."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in head_environment(cluster).items()]
    lines += [f"# {name} is set from {reference}" for name, reference in cluster.secrets.items()]
    lines.append(shlex.join(["ray", "start", *head_options(cluster)]))
    return Rendered({"ray.sh": "\n".join(lines) + "\n", "job.json": submission(cluster, job)})
