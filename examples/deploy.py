"""Start when there is a new version of the model, whether this Airflow made it or a sensor met it."""

from airflow.sdk import DAG, task
from fraud import fetch_and_check, model

from airflow_provider_azureml.datasets import asset_versions

with DAG("deploy", schedule=[model]):

    @task
    def roll_out(*, triggering_asset_events):
        """Roll out each new version."""
        return [fetch_and_check(version) for version in asset_versions(triggering_asset_events)]

    roll_out()
