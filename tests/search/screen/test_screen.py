"""A search whose screen nobody reads any more goes on, and takes leave in good order."""

import os
import signal
import subprocess
import sys
import time

import pytest

#: Signals work as on a terminal, also where this runs in the background of a shell.
SEARCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from fullspectrum.search.cli import main
sys.exit(main())
"""


def test_a_screen_without_a_reader_falls_silent():
    code = """
import sys
from fullspectrum.search.console import complain
from fullspectrum.search.screen.console import Screen
screen = Screen()
sys.stdin.readline()
for _ in range(1000):
    screen.print("a line")
print("another way to stdout")
complain(f"quiet: {screen.quiet}")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    process.stdin.write("gone\n")
    process.stdin.close()
    assert process.stderr.read() == "fullspectrum: quiet: True\n"
    assert process.wait(60) == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("read", ["study ", "] trial "])
def test_ctrl_c_that_takes_the_reader_too_still_ends_in_good_order(tmp_path, read):
    """As in `fullspectrum search … | tee log`, where the terminal's Ctrl-C ends tee as well."""
    settings = ["search.trials=500", "search.samples_per_trial=1", "warmup.iterations=0", "final.top_k=0"]
    command = [sys.executable, "-c", SEARCH, "search", "digits", *(f"--set={setting}" for setting in settings)]
    search = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        while read not in search.stdout.readline():
            assert search.poll() is None
        search.stdout.close()
        search.send_signal(signal.SIGINT)
        _, err = search.communicate(timeout=90)
    finally:
        if search.poll() is None:
            search.terminate()
            time.sleep(5)
            search.kill()
    assert search.returncode == 128 + signal.SIGINT, err
    assert "Go on with:" in err
    assert "Traceback" not in err
