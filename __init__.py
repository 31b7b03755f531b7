"""Apache Airflow provider for Azure Machine Learning (AzureML), centred on sensors and assets."""

from __future__ import annotations
