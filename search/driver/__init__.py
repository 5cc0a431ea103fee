"""What drives a search: proposals out, results in, decisions, signals, restarts."""
