"""What a search keeps on a server, which may be away: retries, the object store, and the mirror of files in it."""
