"""What runs: child processes, Azurite, the proxy, certificates."""
