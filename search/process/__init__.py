"""The processes of a search: supervisor and driver, their link, shutdown, heartbeat."""
