"""The code that runs in a worker: a trial, its workbench and candidates, training with checkpoints."""
