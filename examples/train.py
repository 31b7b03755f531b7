"""Start when there is a new version of the data, and know which one."""

from airflow.sdk import DAG, task
from fraud import fetch_and_check, sales

from airflow_provider_azureml.datasets import asset_versions

with DAG("train", schedule=[sales]):

    @task
    def train(*, triggering_asset_events):
        """Train on each new version."""
        return [fetch_and_check(version) for version in asset_versions(triggering_asset_events)]

    train()
