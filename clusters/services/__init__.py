"""Configuration of the services that searches share: PostgreSQL and MLflow."""
