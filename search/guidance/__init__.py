"""The proposals: Optuna's samplers, and the spaces that they search."""
