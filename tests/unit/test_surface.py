"""What users name stays as it is, unless somebody says that it changes."""

from __future__ import annotations

import difflib
from pathlib import Path

from surface import surface

KEPT = Path(__file__).parents[1] / "surface.txt"


def test_what_users_import_is_what_it_was():
    """A change here is one for users: `make surface` takes it over, CHANGELOG.md tells it."""
    kept, now = KEPT.read_text().splitlines(), surface().splitlines()
    changes = list(difflib.unified_diff(kept, now, "tests/surface.txt", "the code", lineterm="", n=3))
    assert not changes, "\n".join(["if users are to have this, run `make surface`:", *changes])


def test_a_parameter_of_a_trigger_that_is_stored_in_airflows_database_is_part_of_it():
    (trigger,) = [part for part in surface().split("\nairflow_") if "AzureMachineLearningJobTrigger" in part]
    assert "* job_name: str" in trigger
