"""`make demo`: this provider at work in a real Airflow, with an AzureML workspace and its storage on this machine.

KEEP=1 leaves all of it running until Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from airflow_rest import AirflowError
from scenario import EXAMPLES, DemoError, airflow_environment, outside_environment, play
from standalone import StandaloneAirflow
from timeline import Timeline

from airflow_provider_azureml.emulator import Emulator

JOB_SECONDS = 8
"""How long the outsider's job takes: long enough to see the sensor wait for it."""


def main() -> int:
    """Run the demo and return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as with Ctrl-C, everything is stopped in order
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    timeline = Timeline()
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="azureml-demo-")))
            emulator = stack.enter_context(
                Emulator(workspace_name="fraud-prod", resource_group="ml", job_seconds=JOB_SECONDS)
            )
            emulator.create_registry("shared")  # which examples/dev_to_prod.py watches
            timeline.tell("azureml", "emulator and Azurite are up")
            airflow = stack.enter_context(
                StandaloneAirflow(
                    EXAMPLES, environment=airflow_environment(emulator), connections={"azureml": emulator.connection}
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
    except (AirflowError, DemoError, RuntimeError, TimeoutError) as error:
        print(f"\n{error}\n\ndemo: failed", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
