"""What lasts: the ledger of a study in its storage, the locks on it, and checkpoints."""
