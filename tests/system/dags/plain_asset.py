"""An asset event of plain Airflow, to know that the harness itself works."""

from airflow.sdk import DAG, Asset, task

asset = Asset("plain", "x-plain://asset")

with DAG("plain_producer", schedule=None):

    @task(outlets=[asset])
    def produce(*, outlet_events):
        outlet_events[asset].extra = {"version": "7"}

    produce()

with DAG("plain_consumer", schedule=[asset]):

    @task
    def consume(*, triggering_asset_events):
        return [event.extra for events in triggering_asset_events.values() for event in events]

    consume()
