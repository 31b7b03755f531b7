"""What an AzureML asset is in Airflow: its identity, its URI and the events about it."""
