"""What `watch()` makes of an asset, and what Event Grid may put into its queue."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_azureml.datasets import Registry, Workspace
from airflow_provider_azureml.datasets.uri import parse_asset_uri
from airflow_provider_azureml.provider.watching.event_queue import Nudge, read_events
from airflow_provider_azureml.sensors import watch

WS = Workspace("12345678-1234-1234-1234-123456789abc", "ml", "fraud-prod")
MODEL = WS.model("fraud")


def test_a_watched_asset_is_an_asset_of_its_own_that_says_what_it_waits_for():
    watched = watch(MODEL, conn_id="azureml", tags={"stage": "production"})
    assert watched.name == "models/fraud@fraud-prod/ml/12345678 (watched: stage=production)"
    assert watched.uri == f"{MODEL.uri}?watched=stage%3Dproduction"
    assert watched.group == MODEL.group
    assert parse_asset_uri(watched.uri) == parse_asset_uri(MODEL.uri), "for lineage it is the model"


def test_filters_make_identities_and_tuning_does_not():
    def identity(**arguments: Any) -> tuple[str, str]:
        watched = watch(MODEL, **{"conn_id": "azureml", **arguments})
        return watched.name, watched.uri

    assert identity() == identity(poll_interval=900, conn_id="b", start="all")
    assert identity() == identity(event_queue="https://account.queue.core.windows.net/events")
    assert identity(tags={"a": "1", "b": "2"}) == identity(tags={"b": 2, "a": 1})
    assert identity(consumer="deploy") == identity(consumer="deploy", poll_interval=900)
    every = [
        identity(),
        identity(consumer="deploy"),
        identity(tags={"a": "1"}),
        identity(tags={"a": "2"}),
        (MODEL.name, MODEL.uri),
    ]
    assert len(set(every)) == len({name for name, _ in every}) == len({uri for _, uri in every}) == 5


_parts = st.sampled_from(["a", "b", "=", ",", " ", "%", "2C", "%3D", " for ", "d", "\n", "ö", "%C3%B6", "C3", "%0A"])
_words = st.lists(_parts, max_size=5).map("".join)
_filters = st.tuples(st.dictionaries(_words.filter(str.strip), _words, max_size=3), st.sampled_from([None, "d", "a"]))


@given(_filters, _filters)
@example(({"a": "1, b=2"}, None), ({"a": "1", "b": "2"}, None))
@example(({"a=b": "c"}, None), ({"a": "b=c"}, None))
@example(({"a": "b for d"}, None), ({"a": "b"}, "d"))
@example(({" a": "b"}, "d"), ({"a": "b"}, "d"))
def test_two_filters_never_share_an_identity(one, other):
    first, second = (watch(MODEL, conn_id="c", tags=tags, consumer=consumer) for tags, consumer in (one, other))
    assert (first.name == second.name) == (first.uri == second.uri) == (one == other)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("x, y", "a=x, y"),
        ("b=c", "a=b=c"),
        ("50%", "a=50%"),
        ("50% of", "a=50% of"),
        ("for all", "a=for all"),
        ("1, b=2", "a=1%2C b=2"),
        ("größe", "a=gr%C3%B6%C3%9Fe"),
    ],
)
def test_an_identity_changes_only_where_it_has_to(value, label):
    watched = watch(MODEL, conn_id="c", tags={"a": value})
    assert watched.name == f"{MODEL.name} (watched: {label})"


def test_an_airflow_on_mysql_takes_every_filter(monkeypatch):
    monkeypatch.setattr("airflow.sdk.definitions.asset.SQL_ALCHEMY_CONN", "mysql+mysqldb://...")
    watch(MODEL, conn_id="c", tags={"größe": "本番"})


def test_the_final_states_of_an_experiments_jobs_are_part_of_its_identity():
    watched = watch(WS.experiment("night"), conn_id="azureml", statuses=["Failed", "Canceled"], tags={"team": "a"})
    assert watched.name.endswith("(watched: Canceled, Failed, team=a)")


def test_consumers_of_one_thing_have_each_a_trigger_of_their_own_that_share_a_poll():
    """Airflow gives watched assets with equal triggers one trigger, with one state for both."""
    triggers = [
        watch(MODEL, conn_id="azureml", consumer=name).watchers[0].trigger for name in (None, "deploy", "report")
    ]
    assert len({json.dumps(trigger.serialize()) for trigger in triggers}) == 3
    assert len({trigger.shared_stream_key() for trigger in triggers}) == 1


def test_a_dag_with_watchers_is_the_same_dag_on_each_parse():
    from airflow.serialization.serialized_objects import DagSerialization

    def parse() -> str:
        watched = [watch(MODEL, conn_id="azureml", tags={"b": "1", "a": "2"}), watch(WS.data("s"), conn_id="azureml")]
        with DAG("d", schedule=watched) as dag:
            pass
        return json.dumps(DagSerialization.serialize_dag(dag), sort_keys=True, default=str)

    assert parse() == parse()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"asset": Asset("x")}, r"not Asset\(name='x'"),
        ({"asset": "fraud"}, "not 'fraud'"),
        ({"asset": watch(MODEL, conn_id="c")}, "watch.. takes what"),
        (
            {"asset": Registry("azureml").model("m"), "event_queue": "https://account.queue.core.windows.net/q01"},
            "data assets and registries",
        ),
        ({"poll_interval": 1}, "poll_interval is 1; it is 5 seconds or more"),
        ({"poll_interval": "60"}, "poll_interval is '60'"),
        ({"start": "first"}, "start is 'first'"),
        ({"consumer": "my dag"}, "consumer is 'my dag'; it is 1 to 100 letters"),
        ({"statuses": ["Completed"]}, "statuses are for experiments"),
        ({"asset": WS.experiment("e"), "statuses": ["Running"]}, "'Running' is not final"),
        ({"asset": WS.experiment("e"), "statuses": ["completed"]}, "'completed' is not final; .*, spelt so"),
        ({"asset": WS.experiment("e"), "statuses": ["Cancelled"]}, "'Cancelled' is not final"),
        (
            {"asset": WS.experiment("e"), "statuses": ["NotResponding"]},
            "is not final; Completed, Failed and Canceled are",
        ),
        (
            {"asset": WS.data("s"), "event_queue": "https://account.queue.core.windows.net/q01"},
            "no event for data assets",
        ),
        ({"event_queue": "http://account.queue.core.windows.net/events"}, "it looks like https://ACCOUNT"),
        ({"event_queue": "https://account.queue.core.windows.net/events?sig=x"}, "it looks like https://ACCOUNT"),
    ],
)
def test_a_wrong_argument_fails_at_parse_and_says_what_is_right(arguments, words):
    with pytest.raises(ValueError, match=words):
        watch(**{"asset": MODEL, "conn_id": "azureml", **arguments})


PLACE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W"
SCHEMA = {"topic": PLACE, "eventType": "Microsoft.MachineLearningServices.ModelRegistered", "data": {"ModelName": "m"}}
CLOUD = {"specversion": "1.0", "source": PLACE, "type": "Microsoft.MachineLearningServices.RunCompleted", "data": {}}
MODEL_MADE, RUN_ENDED = (Nudge(kind, PLACE.strip("/").lower()) for kind in ("modelregistered", "runcompleted"))


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode(), str.encode])
@pytest.mark.parametrize(
    ("event", "nudges"),
    [
        (SCHEMA, [MODEL_MADE]),
        ([SCHEMA], [MODEL_MADE]),
        (CLOUD, [RUN_ENDED]),
        ([SCHEMA, CLOUD], [MODEL_MADE, RUN_ENDED]),
        ({"EventType": "microsoft.machinelearningservices.runstatuschanged"}, [Nudge("runstatuschanged", "")]),
        ({"EventType": "a.b", "topic": 7}, [Nudge("b", "")]),
    ],
)
def test_every_form_in_which_event_grid_writes_is_read(event, nudges, encode):
    assert read_events(encode(json.dumps(event))) == nudges


@given(st.one_of(st.text(), st.binary(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
def test_anything_else_is_a_value_error_and_no_other(body):
    with contextlib.suppress(ValueError):
        read_events(body)


@pytest.mark.parametrize("body", ["", "[" * 60_000, '{"eventType": 7}', "null", "[[]]", "eyJ"])
def test_hostile_messages_are_value_errors(body):
    with pytest.raises(ValueError, match=r"an event|neither JSON"):
        read_events(body)
