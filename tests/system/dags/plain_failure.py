"""A task that fails, to know that the harness shows why."""

from airflow.sdk import DAG, task

with DAG("plain_failure", schedule=None):

    @task
    def fail():
        return 1 / 0

    fail()
