"""Samplers of Optuna by the names that studies use, one file each."""
