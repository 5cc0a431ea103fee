"""Training that can be interrupted: checkpoints, and a training that goes on from them."""
