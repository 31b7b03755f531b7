"""Two DAGs that watch one model, each with a memory of its own: one may be paused, and misses nothing.

Airflow gives an event to the DAGs that are not paused at that moment, and keeps none for the others. So a DAG that may
be paused while others go on has a watched asset of its own: `consumer=` makes it one. Both share one poll.

After a pause of weeks there may be many versions in one run: `asset_versions` returns all of them, oldest first.
"""

from airflow.sdk import DAG, task
from fraud import CONN_ID, workspace

from airflow_provider_azureml.datasets import asset_versions
from airflow_provider_azureml.sensors import watch

upsell = workspace.model("upsell")
polls = {"conn_id": CONN_ID, "poll_interval": 10}  # the same for both, or each polls for itself

with DAG("serve_upsell", schedule=[watch(upsell, consumer="serve", **polls)]):

    @task
    def serve(*, triggering_asset_events):
        """The newest is enough."""
        newest = asset_versions(triggering_asset_events)[-1]
        return f"{newest.name}:{newest.version}"

    serve()

with DAG("audit_upsell", schedule=[watch(upsell, consumer="audit", **polls)]):

    @task
    def audit(*, triggering_asset_events):
        """Every single one counts."""
        return [f"{version.name}:{version.version}" for version in asset_versions(triggering_asset_events)]

    audit()
