"""Archiving, restoring and tagging versions: what changes, what is announced, what a retry does."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider.errors import NotFoundError, SpecError
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningArchiveAssetOperator as Archive
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningRestoreAssetOperator as Restore
from airflow_provider_azureml.provider.operators.version import AzureMachineLearningSetTagsOperator as SetTags

FRAUD = {"kind": "model", "asset_name": "fraud", "version": 1}


@pytest.fixture
def fraud(task: Any, folder: Any, ws: Any) -> dict[str, Any]:
    """A model version with a tag."""
    return task(RegisterModel, model={"name": "fraud", "path": str(folder), "tags": {"f1": "0.9", "old": "x"}}).run()


def test_tags_are_set_and_removed_and_the_version_is_announced(ws, task, fraud, ask):
    runner = task(SetTags, workspace=ws, tags={"stage": "production", "n": 3, "old": None}, **FRAUD)
    assert runner.operator.outlets == [ws.model("fraud")]
    result = runner.run()
    stored = ask(lambda client: client.get_version(Kind.MODEL, "fraud", "1"))
    assert runner.announced(ws.model("fraud")) == [result] == [stored.to_dict()]
    assert (stored.tags["stage"], stored.tags["n"], stored.tags["f1"]) == ("production", "3", "0.9")
    assert "old" not in stored.tags
    assert stored.path == fraud["path"]


def test_tags_that_are_there_already_are_no_news(ws, task, fraud, azureml_emulator):
    """No event at all: an outlet that stayed would make an empty one."""
    azureml_emulator.clear_calls()
    runner = task(SetTags, workspace=ws, tags={"f1": "0.9"}, **FRAUD)
    runner.run()
    assert runner.operator.outlets == []
    assert not azureml_emulator.calls("PUT")


def test_a_retry_announces_what_the_try_that_died_changed(ws, task, fraud, azureml_emulator):
    runner = task(SetTags, workspace=ws, tags={"stage": "production"}, **FRAUD)
    result = runner.run()
    azureml_emulator.clear_calls()
    assert runner.run() == result
    assert runner.announced(ws.model("fraud")) == [result]
    assert not azureml_emulator.calls("PUT")


def test_an_archived_version_leaves_the_lists_and_a_restored_one_comes_back(ws, task, fraud, ask):
    def listed() -> list[str]:
        return [version.version for version in ask(lambda client: client.list_versions(Kind.MODEL, "fraud"))]

    archive = task(Archive, workspace=ws, **FRAUD)
    assert archive.operator.outlets == []
    assert archive.run()["stage"] == "Archived"
    assert listed() == []
    restore = task(Restore, workspace=ws, **FRAUD)
    result = restore.run()
    assert restore.announced(ws.model("fraud")) == [result]
    assert result["stage"] == "Development"
    assert listed() == ["1"]


def test_a_stage_of_its_own_does_not_keep_a_version_from_being_archived(ws, task, folder, ask):
    """What the service does with a stage that contradicts isArchived is not known; the SDK sends none, nor do we."""
    task(RegisterModel, model={"name": "fraud", "path": str(folder), "stage": "Production"}).run()
    assert task(Archive, **FRAUD).run()["stage"] == "Archived"
    assert task(Restore, **FRAUD).run()["stage"] == "Development"


def test_data_can_be_archived_too(ws, task, folder):
    task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
    result = task(Archive, kind=Kind.DATA, asset_name="sales", version="1").run()
    assert result["name"] == "sales"
    assert result["path"]


def test_a_lost_answer_and_throttling_are_waited_out(ws, task, fraud, azureml_emulator):
    azureml_emulator.misbehave("PUT", "/models/", lose_answer=True, times=1)
    azureml_emulator.misbehave("GET", "/models/", status=429, retry_after=1, times=2)
    assert task(SetTags, tags={"stage": "production"}, **FRAUD).run()["tags"]["stage"] == "production"


def test_sigkill_after_any_call_still_announces(ws, task, fraud, kill_at_each_call):
    runner = task(SetTags, workspace=ws, tags={"stage": "production"}, **FRAUD)
    assert kill_at_each_call(runner) >= 3
    result = runner.run()
    assert runner.announced(ws.model("fraud")) == [result]


def test_a_version_that_does_not_exist(ws, task, azureml_emulator):
    with pytest.raises(NotFoundError, match="fraud"):
        task(Archive, **FRAUD).run()
    assert not azureml_emulator.calls("PUT")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({**FRAUD, "kind": "environment"}, "'model' or 'data'"), ({**FRAUD, "tags": ["a"]}, "tags must be a mapping")],
)
def test_what_cannot_be(ws, task, fraud, arguments, words):
    with pytest.raises(SpecError, match=words):
        task(SetTags, **{"tags": {}, **arguments}).run()
