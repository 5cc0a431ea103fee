"""What travels to a cluster: our own package, the user's modules, small files."""
