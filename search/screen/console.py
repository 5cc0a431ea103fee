"""The console of a search, which goes on where nobody reads it any more."""

import os
import sys

from rich.console import Console


class Screen(Console):
    """A console on stdout. Where its reader is gone (`| tee` that took the Ctrl-C, `| head`) it falls silent.

    Rich ends the process there, in the middle of whatever prints; a search has workers to take leave of.
    """

    def on_broken_pipe(self) -> None:
        """What is still printed on stdout, by whomever, goes nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
