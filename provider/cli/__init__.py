"""The commands `airflow azureml ...`."""
