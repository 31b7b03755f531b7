"""`make demo`: this provider at work in a real Airflow, with an AzureML workspace and its storage on this machine.

KEEP=1 leaves all of it running until Ctrl-C.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from scenario import EXAMPLES, DemoError, play
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.emulator import Emulator


def main() -> int:
    """Run the demo and return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as with Ctrl-C, everything is stopped in order
    timeline = Timeline()
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="azureml-demo-")))
            emulator = stack.enter_context(Emulator())
            timeline.tell("azureml", "emulator and Azurite are up")
            airflow = stack.enter_context(
                StandaloneAirflow(
                    EXAMPLES, environment=azure_environment(emulator), connections={"azureml": emulator.connection}
                )
            )
            timeline.tell("airflow", f"healthy after {airflow.start_seconds:.0f} s at {airflow.url}")
            play(airflow, outside_environment(emulator), folder, timeline)
            print("demo: ok", flush=True)
            if os.environ.get("KEEP") == "1":
                print(f"All of it goes on until Ctrl-C. Airflow's UI: {airflow.url}", flush=True)
                signal.pause()
    except KeyboardInterrupt:
        return 130
    except (DemoError, RuntimeError, TimeoutError) as error:
        print(f"{error}\ndemo: failed", file=sys.stderr)
        return 1
    return 0


def azure_environment(emulator: Emulator) -> dict[str, str]:
    """Return what the DAG files need: where Azure is, and which workspace they mean."""
    return {**emulator.environment, "AZUREML_WORKSPACE_ID": emulator.workspace_id}


def outside_environment(emulator: Emulator) -> dict[str, str]:
    """Return the same for a script outside Airflow, which has no connection but a service principal in variables."""
    connection = emulator.connection
    return {
        **os.environ,
        **azure_environment(emulator),
        "AZURE_TENANT_ID": json.loads(connection["extra"])["tenantId"],
        "AZURE_CLIENT_ID": connection["login"],
        "AZURE_CLIENT_SECRET": connection["password"],
    }


if __name__ == "__main__":
    sys.exit(main())
