"""Publish a folder as the next version of a data asset, tag it, and archive it."""

from airflow.sdk import DAG
from fraud import CONN_ID, workspace

from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.version import (
    AzureMachineLearningArchiveAssetOperator,
    AzureMachineLearningSetTagsOperator,
)

flowers = {"kind": "data", "asset_name": "flowers", "version": "{{ ti.xcom_pull('publish')['version'] }}"}

with DAG("example_data", schedule=None, default_args={"conn_id": CONN_ID, "workspace": workspace}):
    publish = AzureMachineLearningCreateDataOperator(
        task_id="publish", data_asset={"name": "flowers", "type": "uri_folder", "path": "files/flowers"}
    )
    check = AzureMachineLearningSetTagsOperator(task_id="approve", tags={"checked": "yes"}, **flowers)
    withdraw = AzureMachineLearningArchiveAssetOperator(task_id="withdraw", **flowers)
    publish >> check >> withdraw
