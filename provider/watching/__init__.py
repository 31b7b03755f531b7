"""One poll of a workspace for all who watch it, and what each of them has announced."""
