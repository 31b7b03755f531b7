"""One job for one task run: submission, batch invocation, check."""
