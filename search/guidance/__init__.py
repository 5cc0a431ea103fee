"""What is proposed: Optuna's samplers, and the spaces that they search."""
