"""One plan for all waits of a workspace in a triggerer: what to ask, when, and by which list."""
