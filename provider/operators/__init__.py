"""Operators: one module per AzureML noun."""
