"""All that is said to Azure over HTTP: transport, client, bodies, states, run history, registries."""
