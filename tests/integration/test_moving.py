"""Versions on their way from a workspace to a registry and back: once, announced, and never another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.datasets import Kind, Registry, Workspace
from airflow_provider_azureml.provider.errors import NotFoundError, PermissionDeniedError, SpecError, TransientError
from airflow_provider_azureml.provider.hook import AzureMachineLearningHook
from airflow_provider_azureml.provider.operators.data import AzureMachineLearningCreateDataOperator as CreateData
from airflow_provider_azureml.provider.operators.model import AzureMachineLearningRegisterModelOperator as RegisterModel
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningCopyAssetOperator as Copy
from airflow_provider_azureml.provider.operators.moving import AzureMachineLearningShareAssetOperator as Share

FRAUD = {"kind": "model", "asset_name": "fraud", "version": "1"}
IMPORTS = [("done", "tags"), ("accepted", "nothing")]


@pytest.fixture
def fraud(task: Any, folder: Path, ws: Any) -> dict[str, Any]:
    """A model version of a folder that has a .gitignore among its files."""
    made: dict[str, Any] = task(
        RegisterModel,
        model={"name": "fraud", "path": str(folder), "tags": {"f1": "0.9"}, "description": "it", "flavors": {"x": {}}},
    ).run()
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestSharing:
    @pytest.mark.parametrize(("way", "kept"), IMPORTS)
    def test_the_copy_is_announced_and_holds_the_same_bytes(
        self, task, ws, registry, fraud, folder, tmp_path, azureml_emulator, way, kept
    ):
        azureml_emulator.configure(answers={"registry import": way, "registry import keeps": kept})
        runner = task(Share, workspace=ws, registry=registry, **FRAUD)
        assert runner.operator.outlets == [registry.model("fraud")]
        copy = runner.run()
        assert copy["id"] == f"azureml://registries/{registry.name}/models/fraud/versions/1"
        assert runner.announced(registry.model("fraud")) == [copy]
        assert runner.ti.xcoms["azureml_studio_url"].startswith(f"https://ml.azure.com/registries/{registry.name}/")
        AzureMachineLearningHook("azureml").download(copy, tmp_path / "to")
        assert content(tmp_path / "to") == content(folder)

    def test_lineage_leads_from_the_version_to_its_copy(self, task, ws, registry, fraud):
        runner = task(Share, workspace=ws, registry=registry, **FRAUD)
        runner.run()
        lineage = runner.operator.get_openlineage_facets_on_complete(None)
        assert [(one.namespace, one.name) for one in lineage.inputs] == [(ws.uri, "models/fraud")]
        assert [(one.namespace, one.name) for one in lineage.outputs] == [(registry.uri, "models/fraud")]

    def test_the_copy_can_have_another_name_and_number(self, task, ws, registry, folder):
        task(CreateData, data_asset={"name": "sales", "path": str(folder)}).run()
        runner = task(
            Share,
            registry=registry,
            kind=Kind.DATA,
            asset_name="sales",
            version=1,
            target_name="sales-{{ 1 }}",
            target_version="2026-11",
        )
        assert runner.operator.outlets == [registry.alias(Kind.DATA)]
        runner.operator.target_name = "sales-1"
        copy = runner.run()
        assert copy["id"] == f"azureml://registries/{registry.name}/data/sales-1/versions/2026-11"
        assert [event.extra["versions"] for event in runner.events[registry.alias(Kind.DATA)].asset_alias_events] == [
            [copy]
        ]

    @pytest.mark.parametrize(("way", "kept"), IMPORTS)
    def test_sigkill_after_any_call_shares_once_and_still_announces(
        self, task, ws, registry, fraud, azureml_emulator, kill_at_each_call, way, kept
    ):
        azureml_emulator.configure(answers={"registry import": way, "registry import keeps": kept})
        runner = task(Share, workspace=ws, registry=registry, **FRAUD)
        assert kill_at_each_call(runner) > 4
        copy = runner.run()
        assert runner.announced(registry.model("fraud")) == [copy]
        assert len([call for call in azureml_emulator.calls("POST", "/import") if call["status"] in (200, 202)]) == 1

    def test_a_lost_answer_and_throttling_are_waited_out(self, task, registry, fraud, azureml_emulator):
        azureml_emulator.misbehave("POST", "/import", status=429, retry_after=1, times=1)
        azureml_emulator.misbehave("POST", "/import", lose_answer=True, times=1)
        runner = task(Share, registry=registry, **FRAUD)
        copy = runner.run()
        assert runner.announced(registry.model("fraud")) == [copy]

    def test_a_version_that_exists_fails_the_task_or_is_reused_without_an_event(
        self, task, registry, fraud, azureml_emulator
    ):
        first = task(Share, registry=registry, **FRAUD).run()
        azureml_emulator.clear_calls()
        with pytest.raises(SpecError, match=r"exists already.*Nothing was changed"):
            task(Share, registry=registry, **FRAUD).run()
        runner = task(Share, registry=registry, if_exists="reuse", **FRAUD)
        assert runner.run() == first
        assert runner.operator.outlets == []
        assert not azureml_emulator.calls("POST", "/import")

    def test_a_version_that_somebody_else_shares_at_the_same_time_is_not_taken_for_this_tasks(
        self, task, registry, fraud, azureml_emulator
    ):
        azureml_emulator.configure(answers={"registry import": "accepted"}, operation_seconds=2)
        try:
            from concurrent.futures import ThreadPoolExecutor

            runners = [task(Share, registry=registry, if_exists="reuse", **FRAUD) for _ in range(3)]
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda runner: runner.run(), runners))
        finally:
            azureml_emulator.configure(operation_seconds=0)
        assert sorted(len(runner.operator.outlets) for runner in runners) == [0, 0, 1]

    def test_a_refusal_is_not_remembered_as_a_request(self, task, registry, fraud, azureml_emulator):
        azureml_emulator.misbehave("POST", "/import", status=403, times=1)
        runner = task(Share, registry=registry, if_exists="reuse", **FRAUD)
        with pytest.raises(PermissionDeniedError, match="AzureML Registry User"):
            runner.run()
        task(Share, registry=registry, **FRAUD).run()
        runner.run()
        assert runner.operator.outlets == []

    def test_a_version_that_does_not_exist(self, task, registry, azureml_emulator):
        with pytest.raises(NotFoundError, match="fraud"):
            task(Share, registry=registry, **FRAUD).run()
        assert not azureml_emulator.calls("POST", "/import")

    @pytest.mark.parametrize("wrong", [{"kind": "job"}, {"if_exists": "new"}, {"registry": "company"}])
    def test_a_wrong_argument_is_an_error_at_parse(self, task, registry, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            task(Share, **{"registry": registry, **FRAUD, **wrong})

    def test_a_template_that_found_nothing(self, task, registry):
        with pytest.raises(SpecError, match="version is 'None'"):
            task(Share, registry=registry, **{**FRAUD, "version": "None"}).run()


class TestCopying:
    @pytest.fixture
    def shared(self, task: Any, registry: Registry, fraud: dict[str, Any]) -> dict[str, Any]:
        """The version, shared with the registry."""
        made: dict[str, Any] = task(Share, registry=registry, **FRAUD).run()
        return made

    def make(self, task: Any, prod: Workspace, source: Any, **arguments: Any) -> Any:
        return task(Copy, **{"conn_id": "prod", "workspace": prod, "source": source, **FRAUD, **arguments})

    @pytest.fixture
    def task(self) -> Any:
        """Make a task whose connection can be named."""
        from .conftest import TaskRunner

        def make(operator: type, *, conn_id: str = "azureml", **arguments: Any) -> TaskRunner:
            return TaskRunner(lambda: operator(task_id="it", conn_id=conn_id, **arguments))

        return make

    def downloaded(self, version: dict[str, Any], tmp_path: Path) -> dict[str, bytes]:
        AzureMachineLearningHook("prod").download(version, tmp_path / "to")
        return content(tmp_path / "to")

    def test_from_a_registry(self, task, prod, registry, shared, folder, tmp_path):
        runner = self.make(task, prod, registry)
        assert runner.operator.outlets == [prod.model("fraud")]
        copy = runner.run()
        assert copy["id"].startswith(prod.id.replace("/resourceGroups/", "/resourceGroups/"))
        assert (copy["version"], copy["type"]) == ("1", "custom_model")
        assert copy["properties"]["airflow.copied_from"] == shared["id"]
        assert runner.announced(prod.model("fraud")) == [copy]
        assert self.downloaded(copy, tmp_path) == content(folder)

    def test_from_another_workspace_with_all_that_is_said_of_it(self, task, ws, prod, fraud, folder, tmp_path):
        copy = self.make(task, prod, ws, source_conn_id="azureml").run()
        assert (copy["description"], copy["tags"]["f1"]) == ("it", "0.9")
        assert self.downloaded(copy, tmp_path) == content(folder)

    def test_a_gitignore_in_it_leaves_nothing_behind(self, task, ws, prod, folder, tmp_path):
        (folder / ".amlignore").write_text("nothing-of-this")
        (folder / ".gitignore").write_text("*.txt")
        task(RegisterModel, model={"name": "fraud", "path": str(folder)}).run()
        copy = self.make(task, prod, ws, source_conn_id="azureml").run()
        assert {"a.txt", "nested/b.txt"} <= self.downloaded(copy, tmp_path).keys()

    def test_one_file_stays_one_file(self, task, ws, prod, folder, tmp_path):
        spec = {"name": "sales", "type": "uri_file", "path": str(folder / "a.txt"), "version": "v1"}
        task(CreateData, data_asset=spec).run()
        copy = self.make(task, prod, ws, source_conn_id="azureml", kind="data", asset_name="sales", version="v1").run()
        assert (copy["type"], copy["version"]) == ("uri_file", "v1")
        assert self.downloaded(copy, tmp_path) == {"a.txt": b"alpha"}

    def test_sigkill_after_any_call_leaves_one_copy_of_whole_files(
        self, task, prod, registry, shared, folder, tmp_path, kill_at_each_call
    ):
        runner = self.make(task, prod, registry)
        assert kill_at_each_call(runner) > 8
        copy = runner.run()
        assert runner.announced(prod.model("fraud")) == [copy]
        assert self.downloaded(copy, tmp_path) == content(folder)

    def test_nothing_stays_on_the_worker(self, task, prod, registry, shared, azureml_emulator, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        self.make(task, prod, registry).run()
        azureml_emulator.misbehave("PUT", "/models/", status=403, code="AuthorizationFailed")
        with pytest.raises(PermissionDeniedError):
            self.make(task, prod, registry, target_name="other").run()
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_what_exists_is_reused_only_if_it_may_be_the_copy(self, task, ws, prod, registry, shared, azureml_emulator):
        first = self.make(task, prod, registry).run()
        with pytest.raises(SpecError, match="exists already"):
            self.make(task, prod, registry).run()
        azureml_emulator.clear_calls()
        runner = self.make(task, prod, registry, if_exists="reuse")
        assert runner.run() == first
        assert runner.operator.outlets == []
        with pytest.raises(SpecError, match=r"as a copy of azureml://registries/.*, not of /subscriptions/"):
            self.make(task, prod, ws, source_conn_id="azureml", if_exists="reuse").run()
        assert not azureml_emulator.calls("PUT")

    def test_a_workspace_as_source_needs_a_connection_of_its_own(self, task, ws, prod):
        with pytest.raises(ValueError, match="source_conn_id"):
            self.make(task, prod, ws)

    def test_a_version_is_not_copied_onto_itself(self, task, ws, fraud):
        with pytest.raises(SpecError, match="onto itself"):
            task(Copy, workspace=ws, source=ws, **FRAUD).run()

    def test_storage_out_of_reach_is_told_as_what_a_retry_may_mend(
        self, task, prod, registry, shared, azureml_emulator
    ):
        azureml_emulator.misbehave("POST", "/datarefs/", status=503)
        with pytest.raises(TransientError):
            _quickly(self.make(task, prod, registry))


def _quickly(runner: Any) -> None:
    """Run without the client's ten minutes of patience."""
    from unittest.mock import patch

    from airflow_provider_azureml.provider.rest.transport import Transport

    send = Transport.request

    async def once(self: Transport, *args: Any, **kwargs: Any) -> Any:
        return await send(self, *args, **{**kwargs, "retry": False})

    with patch.object(Transport, "request", once):
        runner.run()
