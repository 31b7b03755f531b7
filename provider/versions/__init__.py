"""Making and finding versions of models and data."""
