"""What each kind of cluster does with a job: start or reach it, submit, look, follow, stop, fetch."""
