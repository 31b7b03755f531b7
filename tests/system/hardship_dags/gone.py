"""A DAG file that is removed at once: from then on Airflow sees to what files that cannot be imported referred to."""

from airflow.sdk import DAG

with DAG("gone", schedule=None):
    pass
