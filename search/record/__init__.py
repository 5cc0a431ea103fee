"""The record: events in a spool, delivered to MLflow in the background."""
