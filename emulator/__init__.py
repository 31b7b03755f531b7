"""A local AzureML workspace for tests: unmodified Azure SDKs talk to it on loopback."""
