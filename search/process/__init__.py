"""The processes of a search: supervisor and driver, shutdown, heartbeat."""
