"""Where a search runs: this machine, a Ray cluster that is up, or one that is described in a file and launched."""
