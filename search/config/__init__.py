"""The configuration of a study: its settings, how they are read, and what a user reads of them."""
