"""What MLflow is told: events in a spool, delivered in the background."""
