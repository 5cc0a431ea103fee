"""The console of a search, and lines on a console."""

from rich.console import Console

from ..console import silence_stdout


class Screen(Console):
    """A console on stdout. Where its reader is gone (`| tee` that took the Ctrl-C, `| head`) it falls silent.

    Rich ends the process there, in the middle of whatever prints; a search has workers to stop.
    """

    def on_broken_pipe(self) -> None:
        """Print nothing any more."""
        self.quiet = True
        silence_stdout()


def print_line(console: Console, line: str = "") -> None:
    """Print `line` as it is: neither coloured nor folded, and brackets in it are no markup."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
