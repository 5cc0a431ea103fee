"""The file system that a folder lies on: whether its locks exclude other machines."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")

#: Network file systems whose locks exclude other machines, unless they are mounted with one of these options.
_SHARED = {
    "nfs": {"nolock", "local_lock=all", "local_lock=flock"},
    "nfs4": {"nolock", "local_lock=all", "local_lock=flock"},
    "lustre": {"localflock"},
    "cifs": {"nobrl"},
    "smb3": {"nobrl"},
    "ceph": set(),
    "gpfs": set(),
    "fuse.ceph-fuse": set(),
    "fuse.glusterfs": set(),
    "fuse.juicefs": set(),
}

#: Network file systems whose locks are kept by this machine alone: those of FUSE, unless their program asks for them.
_ALONE = re.compile(r"fuse\.(?!mergerfs|ntfs|portal|lxcfs|bindfs|encfs|gocryptfs)|9p$|afs$|beegfs$")


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system."""

    kind: str
    """Its type, as the kernel names it."""
    options: frozenset[str]
    """The options that it is mounted with."""

    @classmethod
    def of(cls, folder: Path) -> "FileSystem | None":
        """Return the file system that a folder is to lie on, there or not; None where the system does not say."""
        try:
            lines = _MOUNTS.read_text(errors="replace").splitlines()
        except OSError:
            return None
        place, found = os.path.realpath(folder), None
        for line in lines:
            _, point, kind, options, *_ = line.split(" ")
            # Blanks stand there in octal.
            point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point).rstrip("/")
            # The last one that holds it: a later one is mounted over it.
            if f"{place}/".startswith(f"{point}/") and (found is None or len(point) >= len(found[0])):
                found = point, cls(kind, frozenset(options.split(",")))
        return found[1] if found else None

    @property
    def locks_here_alone(self) -> str | None:
        """What keeps its locks from other machines: its type, with the option where that does; None where nothing."""
        if (unsafe := _SHARED.get(self.kind)) is not None:
            option = min(unsafe & self.options, default=None)
            return f"{self.kind} with {option}" if option else None
        return self.kind if _ALONE.match(self.kind) else None


def lock_warning(folder: Path) -> str | None:
    """Return a sentence where the locks in a folder do not exclude drivers on other machines; else None."""
    system = FileSystem.of(folder)
    if system is None or (what := system.locks_here_alone) is None:
        return None
    return (
        f"the home folder {str(folder)!r} lies on {what}, whose locks hold on this machine alone: start no second "
        "driver of this study on another machine"
    )
