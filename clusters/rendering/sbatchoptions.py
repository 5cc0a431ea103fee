"""The long options of sbatch, and how they are written into a script."""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ClusterError, nearest

#: Options that take a value: those of Slurm 22.05, and then what came until 25.05.
_VALUED = """
account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint container
contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution
error exclude exclusive export export-file extra-node-info get-user-env gid gpu-bind gpu-freq gpus gpus-per-node
gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user
mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nice no-kill nodefile nodelist nodes ntasks
ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority
profile propagate qos reservation signal sockets-per-node switches thread-spec threads-per-core time time-min tmp uid
wait-all-nodes wckey wrap x11

consolidate-segments container-id extra oom-kill-step resv-ports segment tres-bind tres-per-task
""".split()

#: Options that take none.
_FLAGS = """
contiguous get-user-env help hold ignore-pbs no-kill no-requeue overcommit oversubscribe parsable quiet reboot requeue
exclusive spread-job test-only usage use-min-nodes verbose version wait nice parsable propagate x11

consolidate-segments external-launcher resv-ports spread-segments stepmgr
""".split()

#: Options that a search has a use of its own for, and where that comes from.
_OURS = {
    "array": "a search is one job",
    "chdir": "a search runs where its study file is",
    "error": "its log is where `clusters logs` finds it",
    "help": "it submits nothing",
    "job-name": "`clusters` finds a search by its name",
    "open-mode": "a log goes on where a job begins again",
    "output": "its log is where `clusters logs` finds it",
    "parsable": "the number of the job is read from what sbatch prints",
    "test-only": "it submits nothing",
    "usage": "it submits nothing",
    "version": "it submits nothing",
    "wait": "`launch` follows a job by itself",
    "wrap": "a search has a script of its own",
}

#: What needs no quotes on a line of options.
_PLAIN = re.compile(r"[\w@%+=:,./*\[\]-]+")

#: What an option may be given as in a cluster file.
_EXPECTED = "a string, a number, true, false, or a list of strings"


def check_options(options: Mapping[str, Any], place: str = "overrides") -> None:
    """Raise ClusterError for options that sbatch does not know or a search cannot do with, and for values of no use."""
    known = {*_VALUED, *_FLAGS}
    for name, value in options.items():
        where = f"{place}.{name}"
        if name not in known:
            raise ClusterError(f"{where}: unknown option of sbatch{nearest(name, known)}; expected one without its --")
        if name in _OURS:
            raise ClusterError(f"{where} cannot be chosen: {_OURS[name]}; leave it out")
        if isinstance(value, bool):
            # An option is left out by `false`, whether it takes a value or not.
            if value and name not in _FLAGS:
                raise ClusterError(f"{where} = true: --{name} takes a value")
            continue
        if name not in _VALUED:
            raise ClusterError(f"{where} = {value!r}: --{name} takes no value; expected true or false")
        _text(where, value)


def option_lines(options: Mapping[str, Any]) -> list[str]:
    """Return the lines of a script that give sbatch its options. Raise ClusterError as `check_options` does."""
    return [_line(name, value) for name, value in options.items() if value is not False]


def _line(name: str, value: Any) -> str:
    if value is True:
        return f"#SBATCH --{name}"
    text = _text(name, value)
    return f"#SBATCH --{name}={text}" if _PLAIN.fullmatch(text) else f'#SBATCH --{name}="{text}"'


def _text(where: str, value: Any) -> str:
    """Return a value as sbatch reads it; of a list the parts stand between commas."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = ",".join(value)
    if not isinstance(value, str | int | float):
        raise ClusterError(f"{where} = {value!r}: expected {_EXPECTED}")
    text = str(value)
    if not text or re.search(r'["\\\x00-\x1f\x7f]', text):
        raise ClusterError(f"{where} = {text!r}: expected text of one line, without quotes and backslashes")
    return text
