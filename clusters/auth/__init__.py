"""Who may use a cluster: its token, and the secrets of its searches."""
