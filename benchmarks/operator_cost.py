"""
What one task of each operator costs, beside a plain script that does the same with azure-ai-ml's `MLClient`.

    .venv/bin/python benchmarks/operator_cost.py [case ...]

Both run against one emulator on this machine, each in a fresh interpreter, in turns. Processor seconds are those of the
process (user and system), memory is its peak (VmHWM). A task's process has Airflow in it before the operator begins:
that part is printed once, and what the operator adds to it is compared with the script, which has no Airflow at all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import indent

import report

from airflow_provider_azureml.emulator import Emulator

ENVIRONMENT = "azureml://registries/azureml/environments/sklearn/versions/1"
OPERATORS = "airflow_provider_azureml.provider.operators"

# name -> (module, class, arguments of the operator, what a script does). {n} is another number each time.
CASES = {
    "data, 20 files": (
        "data",
        "CreateData",
        "data_asset={'name': 'sales{n}', 'path': FOLDER}",
        "ml.data.create_or_update(Data(name='sales{n}', path=FOLDER, type='uri_folder'))",
    ),
    "model, in Azure already": (
        "model",
        "RegisterModel",
        "model={'name': 'm{n}', 'path': REMOTE}",
        "ml.models.create_or_update(Model(name='m{n}', path=REMOTE))",
    ),
    "tags": (
        "version",
        "SetTags",
        "kind='model', asset_name='fraud', version='1', tags={'n': '{n}'}",
        "model = ml.models.get('fraud', version='1'); model.tags['n'] = '{n}'; ml.models.create_or_update(model)",
    ),
    "job": (
        "job",
        "CreateJob",
        "job={'type': 'command', 'command': 'x', 'environment': ENVIRONMENT}",
        "ml.jobs.create_or_update(command(command='x', environment=ENVIRONMENT))",
    ),
    "environment": (
        "environment",
        "CreateEnvironment",
        "environment={'name': 'e{n}', 'image': 'ubuntu'}",
        "ml.environments.create_or_update(Environment(name='e{n}', image='ubuntu'))",
    ),
    "component": (
        "component",
        "LoadAndRegisterComponent",
        "source={'name': 'c{n}', 'type': 'command', 'command': 'x', 'environment': ENVIRONMENT}",
        "ml.components.create_or_update(command(name='c{n}', command='x', environment=ENVIRONMENT).component)",
    ),
    "compute": (
        "compute",
        "CreateComputeResource",
        "compute={'name': 'cpu{n}', 'type': 'amlcompute', 'size': 'Standard_DS3_v2'}, poll_interval=1",
        "ml.compute.begin_create_or_update(AmlCompute(name='cpu{n}', size='Standard_DS3_v2')).result()",
    ),
    "stop compute": (
        "compute",
        "StopCompute",
        "compute_name='box{n}', poll_interval=1",
        "ml.compute.begin_stop('box{n}').result()",
    ),
    "delete compute": (
        "compute",
        "DeleteComputeResource",
        "compute_name='spare{n}', poll_interval=1",
        "ml.compute.begin_delete('spare{n}').result()",
    ),
    "endpoint": (
        "endpoint",
        "CreateEndpoint",
        "endpoint={'name': 'endpoint{n}'}, poll_interval=1",
        "ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name='endpoint{n}')).result()",
    ),
    "deployment": (
        "endpoint",
        "DeployEndpoint",
        "deployment={'name': 'deployment{n}', 'endpoint_name': 'fraud', 'model': 'azureml:fraud:1',"
        " 'instance_type': 'Standard_DS3_v2', 'instance_count': 1}, poll_interval=1",
        "ml.online_deployments.begin_create_or_update(ManagedOnlineDeployment(name='deployment{n}',"
        " endpoint_name='fraud', model='azureml:fraud:1', instance_type='Standard_DS3_v2', instance_count=1)).result()",
    ),
    "traffic": (
        "traffic",
        "SetEndpointTraffic",
        "endpoint_name='fraud', traffic={'blue': 50 + {n}, 'green': 50 - {n}}, poll_interval=1",
        "endpoint = ml.online_endpoints.get('fraud'); endpoint.traffic = {'blue': 50 + {n}, 'green': 50 - {n}};"
        " ml.online_endpoints.begin_create_or_update(endpoint).result()",
    ),
    "invoke batch endpoint": (
        "batch",
        "InvokeBatchEndpoint",
        "endpoint_name='scoring', deployment_name='blue', waiting=False,"
        " inputs={'x': {'type': 'uri_folder', 'path': REMOTE}}",
        "ml.batch_endpoints.invoke('scoring', deployment_name='blue',"
        " inputs={'x': Input(type='uri_folder', path=REMOTE)})",
    ),
}

COMMON = """
import json, resource, sys
FOLDER, REMOTE, ENVIRONMENT = {folder!r}, "azureml://datastores/workspaceblobstore/paths/somewhere/", {environment!r}
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return usage.ru_utime + usage.ru_stime, peak / 1024
"""
# The modules that Airflow's own task runner has loaded when it calls an operator, and as much of a context as they use.
TASK = """
import airflow.sdk.execution_time.task_runner
from airflow.sdk import DAG
from airflow.sdk.execution_time.context import OutletEventAccessors
class Store(dict):
    set = dict.__setitem__
class TI:
    dag_id, run_id, task_id, map_index, max_tries = "dag", "manual__1", "it", -1, 0
    def xcom_push(self, key, value): pass
before = used()
from {operators}.{module} import AzureMachineLearning{operator}Operator as Operator
with DAG("dag"):
    operator = Operator(task_id="it", conn_id="azureml", {arguments})
operator.execute({{"ti": TI(), "task": operator, "task_state_store": Store(), "outlet_events": OutletEventAccessors()}})
after = used()
"""
SCRIPT = """
before = (0.0, 0.0)
from azure.ai.ml import Input, MLClient, command
from azure.ai.ml.entities import (
    AmlCompute, Data, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model,
)
from azure.identity import ClientSecretCredential
import os
extra = json.loads(os.environ["AIRFLOW_CONN_AZUREML"])
place = extra["extra"]
credential = ClientSecretCredential(place["tenantId"], extra["login"], extra["password"])
ml = MLClient(credential, place["subscriptionId"], place["resource_group_name"], place["workspace_name"])
{script}
after = used()
"""
PRINT = "\nprint(json.dumps([before, after]), file=sys.stderr)\nimport os\nsys.stderr.flush()\nos._exit(0)\n"


def run(code: str, environment: dict[str, str]) -> list[list[float]]:
    """Run code in a fresh interpreter and return (processor seconds, peak MB) before and after what is measured."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code + PRINT], env=environment, capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(f"{indent(code, '    ')}\n{result.stdout}\n{result.stderr}")
    measured: list[list[float]] = json.loads(result.stderr.splitlines()[-1])
    return measured


PREPARATION = """
from azure.ai.ml.entities import BatchEndpoint, ComputeInstance, ModelBatchDeployment
ml.models.create_or_update(Model(name="fraud", version="1", path=REMOTE))
ml.compute.begin_create_or_update(AmlCompute(name="cpu", size="s")).result()
for number in range({spares}):
    ml.compute.begin_create_or_update(AmlCompute(name=f"spare{{number}}", size="s"))
    ml.compute.begin_create_or_update(ComputeInstance(name=f"box{{number}}", size="s"))
ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="fraud")).result()
for name in ("blue", "green"):
    ml.online_deployments.begin_create_or_update(ManagedOnlineDeployment(name=name, endpoint_name="fraud",
        model="azureml:fraud:1", instance_type="s", instance_count=1)).result()
ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name="scoring")).result()
ml.batch_deployments.begin_create_or_update(ModelBatchDeployment(
    name="blue", endpoint_name="scoring", model="azureml:fraud:1", compute="azureml:cpu")).result()
"""


def main() -> None:
    """Measure each case."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("cases", nargs="*", choices=[*CASES, []], help="all, if none is named")
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Emulator() as emulator:
        folder = Path(scratch) / "sales"
        folder.mkdir()
        for number in range(20):
            (folder / f"{number}.csv").write_text(f"{number}\n" * 1000)
        environment = {
            **os.environ,
            **emulator.environment,
            "AIRFLOW_CONN_AZUREML": emulator.connection_json,
            "AIRFLOW_HOME": scratch,
        }
        common = COMMON.format(folder=str(folder), environment=ENVIRONMENT)
        run(common + SCRIPT.format(script=PREPARATION.format(spares=2 * chosen.rounds)), environment)
        base: list[list[float]] = []
        lines = []
        for name in chosen.cases or CASES:
            module, operator, fields, script = CASES[name]
            tasks, scripts = [], []
            for number in range(chosen.rounds):
                for measured, template, twist in ((tasks, TASK, 2 * number), (scripts, SCRIPT, 2 * number + 1)):
                    filled = template.format(
                        operators=OPERATORS,
                        module=module,
                        operator=operator,
                        arguments=fields.replace("{n}", str(twist)),
                        script=script.replace("{n}", str(twist)),
                    )
                    measured.append(run(common + filled, environment))
            base += [before for before, _ in tasks]
            own = [statistics.median(after[part] - before[part] for before, after in tasks) for part in (0, 1)]
            theirs = [statistics.median(after[part] for _, after in scripts) for part in (0, 1)]
            lines.append((name, own, theirs))
    seconds, megabytes = (statistics.median(each[part] for each in base) for part in (0, 1))
    rows = [
        {
            "operator": name,
            "adds, processor seconds": own[0],
            "script": theirs[0],
            "% of the script's": round(100 * own[0] / theirs[0]),
            "adds, MB": own[1],
            "script, MB": theirs[1],
        }
        for name, own, theirs in lines
    ]
    most, memory = (max(own[part] / theirs[part] for _, own, theirs in lines) for part in (0, 1))
    report.write(
        "operator_cost",
        "What one task of each operator costs, beside a script with azure-ai-ml",
        rows,
        goals={
            f"no operator takes more processor time than the script (at most {most:.0%})": most <= 1,
            f"nor more memory (at most {memory:.0%})": memory <= 1,
        },
        bars="% of the script's",
        label="operator",
        conditions=f"Median of {chosen.rounds} fresh interpreters each, in turns. A task's process has taken "
        f"{seconds:.2f} s and {megabytes:.0f} MB, Airflow's, before its operator begins; what the operator adds is "
        "compared with all of the script, which has no Airflow in it. Operators that load azure-ai-ml cost about what "
        "it costs.",
    )


if __name__ == "__main__":
    main()
