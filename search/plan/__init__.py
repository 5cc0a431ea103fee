"""The plan of a search on a cluster: hours, GPU hours, money and disk, from measured trials."""
