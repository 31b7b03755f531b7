"""Register a component, a step that pipelines share."""

from airflow.sdk import DAG
from fraud import CONN_ID

from airflow_provider_azureml.provider.operators.component import AzureMachineLearningLoadAndRegisterComponentOperator

with DAG("example_component", schedule=None):
    AzureMachineLearningLoadAndRegisterComponentOperator(
        task_id="register", conn_id=CONN_ID, source="files/train_component.yml"
    )
