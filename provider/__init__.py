"""AzureML itself: connections, clients, uploads, operators and triggers."""
