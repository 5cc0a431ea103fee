"""The driver's decisions and dispatch: proposals out, reports in, gate and rungs, and the adapters of Ray Tune."""
