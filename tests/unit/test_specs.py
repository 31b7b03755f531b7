"""Specs as they are read: YAML's corners, templates, values that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from airflow_provider_azureml.datasets import Kind
from airflow_provider_azureml.provider import sdk
from airflow_provider_azureml.provider.errors import SpecError
from airflow_provider_azureml.provider.operators.job import AzureMachineLearningCreateJobOperator
from airflow_provider_azureml.provider.specs import check_asset_spec, load_spec, paths_in_mltable, read_yaml


@pytest.fixture(scope="module")
def render() -> Any:
    with DAG("dag"):
        operator = AzureMachineLearningCreateJobOperator(task_id="t", job={})
    return lambda content: operator.render_template(content, {"ds": "2026-01-01"})


@pytest.mark.parametrize(
    ("content", "rendered"),
    [
        ("{{ ds }}", "2026-01-01"),
        ("a {{ ds }}\n", "a 2026-01-01\n"),
        ("first\nsecond\n", "first\nsecond\n"),
        ("two\n\n", "two\n\n"),
        ("\n", "\n"),
        ("none", "none"),
        ("${{inputs.a}} {{ ds }} ${{outputs.b}}", "${{inputs.a}} 2026-01-01 ${{outputs.b}}"),
        ("$[[--x ${{inputs.x}}]]\n", "$[[--x ${{inputs.x}}]]\n"),
        ("echo ${#name} ${#list[@]}", "echo ${#name} ${#list[@]}"),
        (["a\n", {"b": "{{ ds }}\n"}], ["a\n", {"b": "2026-01-01\n"}]),
        (3, 3),
    ],
)
def test_rendering_changes_templates_and_nothing_else(render, content, rendered):
    assert render(content) == rendered


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: {b: 1, b: [1]}", "x: &x {a: 1}\ny: {<<: *x, b: 1, b: 2}"])
def test_a_key_that_is_there_twice_is_refused_where_it_is(tmp_path, text):
    (tmp_path / "job.yml").write_text(text)
    with pytest.raises(SpecError, match=r"(?s)job.yml is not YAML: .* is there twice, with different values.*line"):
        load_spec("job.yml", noun="job", folder=tmp_path, render=lambda value: value)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: {a: 2}",
        "a: {x: 1}\na: {x: 1}",
        "x: &x {a: 1, b: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y, a: 3}\nw: {<<: [*x, *y]}\nv: *y",
        "[1, {a: b}]",
    ],
)
def test_other_yaml_is_read_as_ever(text):
    assert read_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"description": object()}, r"description must be text, not a Python object \(object\)"),
        ({"name": ["a"]}, r"name must be text, not \['a'\]"),
        ({"path": object()}, "path must be text"),
        ({"tags": {"a": object()}}, r"tags must be a mapping of text to text; 'a' is a Python object \(object\)"),
        ({"properties": "a=b"}, "properties must be a mapping of text to text, not 'a=b'"),
        ({"tags": {"a": ["b"]}}, r"'a' is \['b'\]"),
    ],
)
def test_a_value_that_azureml_has_no_form_for_is_refused(values, complaint):
    with pytest.raises(SpecError, match=complaint):
        check_asset_spec(Kind.DATA, {"name": "a", "path": "./x", **values})


def test_flavors_that_are_not_json_are_refused():
    with pytest.raises(SpecError, match=r"flavors holds a value that is not JSON"):
        check_asset_spec(Kind.MODEL, {"name": "a", "path": Path("x"), "flavors": {"sklearn": object()}})


@pytest.mark.parametrize(
    ("kind", "spec", "checked"),
    [
        (Kind.MODEL, {"id": "azureml:/s", "utc_time_created": "2024", "job_name": "j", "creation_context": {}}, {}),
        (Kind.DATA, {"id": "azureml:/s", "latest_version": "3", "creation_context": {}}, {}),
        (Kind.MODEL, {"type": "MLflow_Model"}, {"type": "mlflow_model"}),
        (Kind.DATA, {"datastore": "azureml:lake"}, {"datastore": "lake"}),
        (Kind.MODEL, {"datastore": "azureml:/subscriptions/s/x/datastores/lake"}, {"datastore": "lake"}),
        (Kind.MODEL, {"tags": {"a": 1, "b": None}}, {"tags": {"a": "1"}}),
    ],
)
def test_what_azureml_takes_is_taken_and_what_it_only_shows_is_passed_over(kind, spec, checked):
    plain = check_asset_spec(kind, {"name": "a", "path": "./x"})
    assert check_asset_spec(kind, {"name": "a", "path": "./x", **spec}) == {**plain, **checked}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_deployment_template", "azureml://registries/r/deploymenttemplates/t/versions/1"),
        ("default_deployment_template", {"id": "t"}),
        ("allowed_deployment_templates", ["t"]),
        ("allowed_deployment_templates", {"asset_id": "t"}),
    ],
)
def test_a_deployment_template_is_given_by_its_id(key, value):
    with pytest.raises(SpecError, match=f"The model's {key} "):
        check_asset_spec(Kind.MODEL, {"name": "a", "path": "./x", key: value})


@pytest.mark.parametrize("error", [AttributeError("no 'name'"), NotImplementedError()])
def test_whatever_the_sdk_stumbles_over_is_said_of_the_spec(error):
    said = r"SDK does not accept the schedule: (no 'name'|NotImplementedError)"
    with pytest.raises(SpecError, match=said), sdk.sdk_errors("schedule"):
        raise error


def test_an_mltable_names_files_folders_and_patterns():
    content = b"paths: [{file: ./a.csv}, {folder: b}, {pattern: 'c/*.csv'}]"
    assert paths_in_mltable(content, where="MLTable") == ["./a.csv", "b", "c/*.csv"]


@pytest.mark.parametrize("content", [b"", b"paths: 3", b"paths: [a]", b"paths: [{x: 1}]", b"a: [", b"\xff"])
def test_a_file_that_is_no_mltable_is_refused(content):
    with pytest.raises(SpecError, match=r"^t/MLTable is invalid"):
        paths_in_mltable(content, where="t/MLTable")


@pytest.mark.parametrize(
    ("noun", "spec", "loader"),
    [
        ("job", {}, "job"),
        ("schedule", {}, "schedule"),
        ("batch deployment", {"mini_batch_size": 1}, "batch_deployment"),
        ("batch deployment", {"type": "model", "settings": {}}, "model_batch_deployment"),
        ("batch deployment", {"type": "pipeline", "settings": {}}, "pipeline_component_batch_deployment"),
    ],
)
def test_which_of_the_sdks_functions_reads_a_spec(noun, spec, loader):
    assert sdk._loader(noun, spec) == loader
