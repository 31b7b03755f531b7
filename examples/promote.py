"""Deploy a model when somebody promotes it: when a version gets the tag `stage=production`, however it is given.

Nothing waits for that: Airflow's triggerer watches the registry.
"""

from airflow.sdk import DAG, task
from fraud import CONN_ID, model

from airflow_provider_azureml.datasets import asset_versions
from airflow_provider_azureml.sensors import watch

# One object for all DAGs that need it; others import it from here.
promoted = watch(
    model,
    conn_id=CONN_ID,
    tags={"stage": "production"},
    poll_interval=10,  # seconds; 60, the default, is a better choice for a real workspace
)

with DAG("promote", schedule=[promoted]):

    @task
    def roll_out(*, triggering_asset_events):
        """Airflow may have merged several promotions into one run, and may tell of one again."""
        return [f"{version.name}:{version.version}" for version in asset_versions(triggering_asset_events)]

    roll_out()
