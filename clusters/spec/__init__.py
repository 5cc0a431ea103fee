"""The description of a cluster: one TOML file, whatever the kind."""
