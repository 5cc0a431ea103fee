"""Where a search runs: this machine, or a Ray cluster that is already up."""
