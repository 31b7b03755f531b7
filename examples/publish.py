"""Upload a folder as a new version of a data asset, and a model as a new version of that model.

Each successful task emits an asset event that holds the version, and so starts the DAGs `train` and `deploy`.
"""

from airflow.sdk import DAG, Param, task
from fraud import CONN_ID, checksum, workspace

from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator

with DAG(
    "publish",
    schedule=None,  # or "@daily", with {{ ds }} in the paths
    params={
        "sales": Param(type="string", description="Folder with the data; s3://, gs:// and abfs:// work as well"),
        "model": Param(type="string", description="Folder with the model"),
    },
):
    # The consumers compare what they fetch with this.
    sales_sha256 = task(task_id="sales_sha256")(checksum)("{{ params.sales }}")
    model_sha256 = task(task_id="model_sha256")(checksum)("{{ params.model }}")

    upload = AzureMachineLearningCreateDataOperator(
        task_id="upload",
        conn_id=CONN_ID,
        workspace=workspace,
        data_asset={
            "name": "sales",
            "type": "uri_folder",
            "path": "{{ params.sales }}",
            "tags": {"sha256": "{{ ti.xcom_pull('sales_sha256') }}"},
        },
    )
    register = AzureMachineLearningRegisterModelOperator(
        task_id="register",
        conn_id=CONN_ID,
        workspace=workspace,
        model={
            "name": "fraud",
            "type": "custom_model",
            "path": "{{ params.model }}",
            "tags": {"sha256": "{{ ti.xcom_pull('model_sha256') }}"},
        },
    )
    sales_sha256 >> upload
    model_sha256 >> register
