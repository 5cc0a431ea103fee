"""What decides and dispatches: proposals out, reports in, gate and rungs, and the adapters of Ray Tune."""
