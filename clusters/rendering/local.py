"""What is started on this machine."""

import shlex

from ..job import Job
from ..secretfiles import token_file
from ..spec.cluster import Cluster
from .environment import node_environment
from .rendered import Rendered
from .submission import submission


def render_local(cluster: Cluster, job: Job) -> Rendered:
    """Return `ray.sh`, the command that starts Ray on loopback only, and `job.json`."""
    environment = node_environment(cluster, job)
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file(cluster))}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += [f"# {name} is set from {reference}" for name, reference in cluster.secrets.items()]
    node = f"--num-cpus={cluster.head.cpus} --num-gpus={cluster.head.gpus}"
    lines.append(f"ray start --head --port=0 --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 {node}")
    return Rendered({"ray.sh": "\n".join(lines) + "\n", "job.json": submission(cluster, job)})
