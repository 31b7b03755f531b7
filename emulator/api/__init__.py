"""From a path to its answer: one file for each noun of AzureML."""
