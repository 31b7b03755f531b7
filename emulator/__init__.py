"""A local AzureML workspace on loopback, for tests and for trying things out: a test double, and never more.

Unmodified Azure SDKs (azure-ai-ml, azure-identity, azure-storage, azure-core, sync and async) talk to it under the
production host names; their bytes are kept by Azurite.

    from airflow_provider_azureml.emulator import Emulator

    with Emulator() as emulator:
        os.environ.update(emulator.environment)      # HTTPS_PROXY, REQUESTS_CA_BUNDLE, SSL_CERT_FILE, ...
        os.environ["AIRFLOW_CONN_AZUREML"] = emulator.connection_json

What a test can do with it:

    emulator.create_workspace()                            a clean workspace; returns its name
    emulator.connection_for(workspace, principal)          an Airflow connection to it
    emulator.calls("PUT", "/models/")                      what was asked; `unknown_routes` should stay empty
    emulator.wait_for_call("GET", "/jobs/", count=2)       instead of sleeping
    emulator.misbehave("GET", "/jobs/", status=429, retry_after=1, times=2)
    emulator.job(name).set_status("Running")               .complete(outputs=...), .fail(code, message), .script([...])
    emulator.script_jobs([("Running", 1), "Completed"])    for jobs that are submitted later
    emulator.create_principal(role="Reader")               for 403; `grant`, `revoke`; wrong secrets answer 401
    emulator.advance(3600)                                 its clock: jobs, operations, tokens, limits
    emulator.kill(), emulator.restart()                    a crash, with all state kept

It needs Azurite: `azureml-emulator install-azurite` installs the pinned version with npm. See docs/emulator.md.
"""

from __future__ import annotations

from .emulator import Emulator, Job
from .processes.children import EmulatorError

__all__ = ["Emulator", "EmulatorError", "Job"]
