"""What a batch job runs on its nodes: a Ray node each, a free port, and the wait for all of them."""
