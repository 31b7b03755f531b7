"""Triggers: one module per thing waited for."""
