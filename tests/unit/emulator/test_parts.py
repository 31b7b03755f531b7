"""The emulator's pure parts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_azureml.emulator.api.job_bodies import for_version
from airflow_provider_azureml.emulator.api.workspaces import Owner
from airflow_provider_azureml.emulator.core.calls import Call, Match
from airflow_provider_azureml.emulator.core.clock import Clock, timestamp
from airflow_provider_azureml.emulator.core.directory import Grant, action_of
from airflow_provider_azureml.emulator.core.events import Subscription, write
from airflow_provider_azureml.emulator.core.faults import Faults
from airflow_provider_azureml.emulator.core.job_progress import Runner, default_script, steps
from airflow_provider_azureml.emulator.core.roles import BUILT_IN
from airflow_provider_azureml.emulator.core.store import Store
from airflow_provider_azureml.emulator.core.throttle import Throttle, kind_of
from airflow_provider_azureml.emulator.emulator import _manners
from airflow_provider_azureml.emulator.processes.config import UNKIND
from airflow_provider_azureml.emulator.processes.proxy import target_of
from airflow_provider_azureml.emulator.wire.paging import labelled, shows
from airflow_provider_azureml.emulator.wire.routing import Routes


def call(method: str = "GET", path: str = "/jobs/j", host: str = "management.azure.com", **query: str) -> Call:
    return Call(1, 0.0, method, host, path, query)


class TestClock:
    def test_it_stands_still_until_it_is_moved(self) -> None:
        clock = Clock(rate=0)
        before = clock.now()
        clock.advance(10)
        assert clock.now() == before + 10

    def test_another_goes_on_where_it_was(self) -> None:
        clock = Clock()
        clock.advance(3600)
        assert Clock(ahead=clock.ahead).now() == pytest.approx(clock.now(), abs=1)

    def test_a_new_rate_does_not_jump(self) -> None:
        clock = Clock(rate=0)
        before = clock.now()
        clock.rate = 0
        assert clock.now() == before

    @pytest.mark.parametrize("seconds", [-1, -0.001])
    def test_it_does_not_run_backwards(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="backwards"):
            Clock().advance(seconds)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "1970-01-01T00:00:00+00:00"), (0.5, "1970-01-01T00:00:00.5+00:00"), (10, "1970-01-01T00:00:10+00:00")],
    )
    def test_a_time_has_no_more_digits_than_it_needs(self, seconds: float, text: str) -> None:
        assert timestamp(seconds) == text


class TestRoutes:
    @pytest.fixture
    def routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/Models/{name}", lambda: "container")
        routes.add("GET", "/models/{name}/versions/latest", lambda: "latest")
        routes.add("GET", "/models/{name}/versions/{version}", lambda: "version")
        routes.add("PUT", "/models/{name}", lambda: "put")
        return routes

    @pytest.mark.parametrize(
        ("method", "path", "answer", "names"),
        [
            ("GET", "/models/M", "container", {"name": "M"}),
            ("GET", "/MODELS/M/Versions/1", "version", {"name": "M", "version": "1"}),
            ("GET", "/models/m/versions/Latest", "latest", {"name": "m"}),
            ("PUT", "/models/a%2Fb", "put", {"name": "a/b"}),
        ],
    )
    def test_literals_in_any_case_come_before_names(
        self, routes: Routes, method: str, path: str, answer: str, names: dict[str, str]
    ) -> None:
        found = routes.find(method, path)
        assert found is not None
        assert (found[0].handler(), found[1]) == (answer, names)

    @pytest.mark.parametrize(("method", "path"), [("DELETE", "/models/m"), ("GET", "/models"), ("GET", "/models//")])
    def test_other_paths_are_unknown(self, routes: Routes, method: str, path: str) -> None:
        assert routes.find(method, path) is None

    def test_two_routes_for_one_path_are_a_mistake(self, routes: Routes) -> None:
        with pytest.raises(ValueError, match="two routes"):
            routes.add("GET", "/models/{other}", lambda: None)


class TestStore:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        store = Store(tmp_path / "state.sqlite")
        yield store
        store.close()

    def test_an_update_keeps_the_place_in_the_order(self, store: Store) -> None:
        for name in ("a", "b"):
            store.put("c", name, {"n": name})
        store.put("c", "a", {"n": "changed"})
        assert [entry.name for entry in store.entries("c")] == ["b", "a"]
        assert store.get("c", "a") == {"n": "changed"}

    def test_a_list_continues_behind_an_entry(self, store: Store) -> None:
        for name in "abc":
            store.put("c", name, {})
        (first, *_) = store.entries("c")
        assert [entry.name for entry in store.entries("c", after=first.sequence)] == ["b", "a"]
        (first, *_) = store.entries("c", newest_first=False)
        assert [entry.name for entry in store.entries("c", newest_first=False, after=first.sequence)] == ["b", "c"]

    def test_a_collection_is_deleted_with_those_below_it_and_no_others(self, store: Store) -> None:
        gone = ("ws/a", "ws/a/versions", "ws/a/versions/1", "ws/a/é")
        others = ("ws", "ws/A", "ws/a-b/versions", "ws/a.b", "ws/a0", "ws/ab", "ws/b/a")
        for collection in gone + others:
            store.put(collection, "x", {})
        store.delete_below("ws/a")
        assert [collection for collection in gone + others if store.get(collection, "x") is not None] == list(others)

    def test_what_is_written_is_there_for_another(self, store: Store, tmp_path: Path) -> None:
        store.put("c", "a", {"n": 1})
        other = Store(tmp_path / "state.sqlite")
        assert other.get("c", "a") == {"n": 1}
        other.close()


class TestThrottle:
    def test_a_bucket_gives_what_it_has_and_no_more(self) -> None:
        throttle = Throttle(enforce=True, limits={"reads": (2, 1)})
        waits = [throttle.count("s", "p", "GET", 0.0)[1] for _ in range(3)]
        assert waits == [None, None, 1]
        assert throttle.count("s", "p", "GET", 1.0)[1] is None

    def test_it_counts_where_it_does_not_refuse(self) -> None:
        throttle = Throttle(limits={"reads": (1, 0)})
        assert [throttle.count("s", "p", "GET", 0.0)[1] for _ in range(3)] == [None, None, None]

    def test_headers_begin_as_azures_do(self) -> None:
        headers, _ = Throttle().count("s", "p", "PUT", 0.0)
        assert list(headers.values()) == ["199", "2999"]

    @given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
    def test_never_more_than_the_burst_and_the_refill(self, gaps: list[float]) -> None:
        throttle = Throttle(enforce=True, limits={"reads": (3, 2)})
        now, allowed = 0.0, 0
        for gap in gaps:
            now += gap
            allowed += throttle.count("s", "p", "GET", now)[1] is None
        assert allowed <= 3 + 2 * now + 1e-6

    @pytest.mark.parametrize(
        ("method", "kind"), [("GET", "reads"), ("POST", "writes"), ("PUT", "writes"), ("DELETE", "deletes")]
    )
    def test_each_method_has_its_bucket(self, method: str, kind: str) -> None:
        assert kind_of(method) == kind


class TestMatch:
    @pytest.mark.parametrize(
        ("match", "meant"),
        [
            (Match(), True),
            (Match("get"), True),
            (Match("PUT"), False),
            (Match(path=r"/JOBS/\w$"), True),
            (Match(path_contains="/JOBS"), True),
            (Match(host="blob"), False),
            (Match(query={"tag": "a"}), True),
            (Match(query={"tag": "b"}), False),
        ],
    )
    def test_which_calls_are_meant(self, match: Match, meant: bool) -> None:
        assert match.meets(call(tag="a")) == meant

    def test_storage_is_meant_only_by_its_host(self) -> None:
        storage = call(host="account.blob.core.windows.net")
        assert not Match("GET").meets(storage)
        assert Match("GET", host="blob").meets(storage)

    def test_rules_are_used_up_in_order(self) -> None:
        faults = Faults(seed=0)
        faults.add({"status": 429, "times": 1})
        faults.add({"status": 503, "after": 1})
        picked = [faults.pick(call()) for _ in range(3)]
        assert [fault and fault.status for fault in picked] == [429, None, 503]

    def test_chance_repeats_with_its_seed(self) -> None:
        def run(seed: int) -> list[bool]:
            faults = Faults(seed)
            faults.add({"status": 500, "probability": 0.5})
            return [faults.pick(call()) is not None for _ in range(50)]

        assert run(1) == run(1)
        assert run(1) != run(2)


class TestProgress:
    def test_a_script_has_several_spellings(self) -> None:
        assert [step["seconds"] for step in steps(["Starting", ("Running", 2), {"status": "Paused"}])] == [0, 2, 0]

    def test_the_default_takes_as_long_as_it_is_told(self) -> None:
        script = default_script("Command", 10, {})
        assert sum(step["seconds"] or 0 for step in script) == pytest.approx(10)
        assert [script[0]["status"], script[-1]["status"]] == ["Starting", "Completed"]

    def test_a_job_says_itself_how_it_ends(self) -> None:
        wishes = {"emulator.duration": "4", "emulator.result": "Failed", "emulator.error": "no"}
        script = default_script("Command", 10, wishes)
        assert sum(step["seconds"] or 0 for step in script) == pytest.approx(4)
        assert script[-1] == {"status": "Failed", "seconds": None, "error": {"code": "UserError", "message": "no"}}

    def test_a_step_without_an_end_is_the_last(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "s")
        job = {"status": "", "history": [], "script": [], "metrics": {}, "due": None, "error": None}
        runner = Runner(store)
        runner.start("ws/jobs", "j", job, steps([("A", 1), ("B", None), "C"]), 100.0)
        runner.catch_up(1000)
        found = store.get("ws/jobs", "j")
        assert found is not None
        assert found["status"] == "B"
        store.close()

    def test_steps_are_taken_at_their_own_time_and_survive_a_restart(self, tmp_path: Path) -> None:
        store, seen = Store(tmp_path / "s"), []
        job = {"status": "", "history": [], "script": [], "metrics": {}, "due": None, "error": None}
        store.put("ws/jobs", "j", job)
        Runner(store).start("ws/jobs", "j", job, steps([("A", 5), ("B", 5), "C"]), 100.0)

        again = Runner(store)
        again.moved = lambda _, name, moved: seen.append((name, moved["status"]))
        again.catch_up(104)
        assert seen == []
        again.catch_up(200)
        assert seen == [("j", "B"), ("j", "C")]
        found = store.get("ws/jobs", "j")
        assert found is not None
        assert found["history"] == [["A", 100.0], ["B", 105.0], ["C", 110.0]]
        store.close()


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        ("management.azure.com", 443, "service"),
        ("westeurope.api.azureml.ms", 443, "service"),
        ("account.blob.core.windows.net", 443, "service"),
        ("account.table.core.windows.net", 443, "table"),
        ("MANAGEMENT.azure.com", 443, "service"),
        ("management.azure.com", 80, None),
        ("management.azure.com.example.org", 443, None),
        ("example.org", 443, None),
    ],
)
def test_the_proxy_knows_these_hosts_and_no_others(host: str, port: int, target: str | None) -> None:
    assert target_of(host, port) == target


@pytest.mark.parametrize(
    ("version", "members"),
    [
        ("2025-01-01-preview", {"dockerArgsList"}),
        ("2024-01-01-preview", {"maxInstanceCount", "locations"}),
        ("2022-05-01", set()),
    ],
)
def test_a_job_has_the_members_of_the_api_version(version: str, members: set[str]) -> None:
    body = {"resources": {"dockerArgsList": None, "maxInstanceCount": None, "locations": None}}
    assert set(for_version(body, version)["resources"]) == members


@pytest.mark.parametrize(
    ("wanted", "labels", "met"),
    [
        (None, None, True),
        ("a", {"a": "1"}, True),
        ("a=1", {"a": "1"}, True),
        ("a=2", {"a": "1"}, False),
        ("a=1,b", {"a": "1"}, False),
        ("a=1,b", {"a": "1", "b": None}, True),
        ("a=x=y", {"a": "x=y"}, True),
    ],
)
def test_filters_by_label(wanted: str | None, labels: dict[str, str | None] | None, met: bool) -> None:
    assert labelled(wanted, labels) == met


@pytest.mark.parametrize(
    ("view", "active", "archived"), [(None, True, False), ("ArchivedOnly", False, True), ("All", True, True)]
)
def test_views_of_a_list(view: str | None, active: bool, archived: bool) -> None:
    query = {"listViewType": view} if view else {}
    assert (shows(query, False), shows(query, True)) == (active, archived)


_WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("Reader", "GET", "", True),
        ("Reader", "PUT", "", False),
        ("Reader", "POST", "/datastores/d/listSecrets", False),
        ("Contributor", "DELETE", "/jobs/j", True),
        ("AzureML Data Scientist", "GET", "", True),
        ("AzureML Data Scientist", "PUT", "/jobs/j", True),
        ("AzureML Data Scientist", "POST", "/jobs/j/cancel", True),
        ("AzureML Data Scientist", "PUT", "/computes/c", False),
        ("AzureML Data Scientist", "DELETE", "", False),
        ("AzureML Data Scientist", "GET", "/computes/c", True),
        ("AzureML Compute Operator", "PUT", "/computes/c", True),
        ("AzureML Compute Operator", "GET", "/jobs/j", False),
    ],
)
def test_what_a_role_allows(role: str, method: str, path: str, allowed: bool) -> None:
    assert BUILT_IN[role].allows(action_of(method, f"{_WORKSPACE}{path}")) == allowed


def test_a_grant_covers_what_is_below_its_scope_and_nothing_else() -> None:
    grant = Grant("client", "Reader", "/s")
    assert [grant.covers(path) for path in ("/S/ws", "/s", "/sother")] == [True, True, False]


def test_the_action_of_a_call() -> None:
    of_provider = "Microsoft.MachineLearningServices/workspaces"
    assert action_of("PUT", f"{_WORKSPACE}/models/m/versions/1") == f"{of_provider}/models/versions/write"
    assert action_of("GET", f"{_WORKSPACE}/jobs") == f"{of_provider}/jobs/read"
    assert action_of("GET", f"{_WORKSPACE}/providers/Microsoft.Authorization/permissions") == (
        "Microsoft.Authorization/permissions/read"
    )


def test_an_event_is_written_in_the_form_that_was_asked_for() -> None:
    owner = Owner("s", "g", "w", "guid")
    form = Subscription(owner.key, "q", "CloudEventSchemaV1_0", "base64", as_list=True, casing="camel")
    text = write(form, owner, "Kind", "subject", {"modelName": "m"}, 0.0, pascal=True)
    (event,) = json.loads(base64.b64decode(text))
    assert (event["source"], event["type"], event["data"]) == (owner.id, "Kind", {"modelName": "m"})


def test_the_unkind_mode_is_what_the_page_lists() -> None:
    page = (Path(__file__).parents[3] / "docs/emulator.md").read_text()
    table = page[page.index("| setting | unkind |") :].split("\n\n")[0]
    rows = [[cell.strip("` ") for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    assert dict(rows) == {name: str(value) for name, value in UNKIND.items()}
    assert _manners(unkind=True) == UNKIND
    assert _manners(unkind=True, page_size=2) == {**UNKIND, "page_size": 2}
