"""Another file that watches the same model; it imports the one watched asset."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from azureml_watchers import every

with DAG("watch_any_too", schedule=[every]):
    EmptyOperator(task_id="nothing")
