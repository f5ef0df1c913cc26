"""Notices of three clouds, read from stand-ins of their metadata services, and what is drained."""

import time
from datetime import UTC, datetime

import pytest

from datasets.errors import ConfigError
from orchestrator.cloud_notices import MetadataError, Notice, find_cloud
from orchestrator.preemption import PreemptionWatch
from tests.metadata_services import azure_events, metadata_service

ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
PREEMPTED = "/computeMetadata/v1/instance/preempted"
MAINTENANCE = "/computeMetadata/v1/instance/maintenance-event"
EVENTS = "/metadata/scheduledevents"
AT = datetime(2026, 11, 25, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_machine_that_stays_has_no_notice(cloud: str):
    with metadata_service(cloud) as service:
        assert find_cloud(cloud, service.url).notice() is None


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_the_cloud_is_found_by_what_answers(cloud: str):
    with metadata_service(cloud) as service:
        assert find_cloud("auto", service.url).name == cloud


def test_no_cloud_is_an_error_with_the_way_out():
    with pytest.raises(ConfigError, match="no metadata service of aws, gcp, azure answers"):
        find_cloud("auto", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="valid are auto, aws, gcp, azure"):
        find_cloud("clouds")


def test_aws_spot_action_names_its_time():
    with metadata_service("aws") as service:
        service.answers[ACTION] = '{"action": "terminate", "time": "2026-11-25T12:02:00Z"}'
        notice = find_cloud("aws", service.url).notice()
    assert notice == Notice("spot instance action: terminate", AT.timestamp())


def test_aws_rebalance_recommendation_counts_until_the_action_comes():
    with metadata_service("aws") as service:
        service.answers[REBALANCE] = '{"noticeTime": "2026-11-25T12:00:00Z"}'
        assert find_cloud("aws", service.url).notice() is None  # the machine may live for days
        cloud = find_cloud("aws", service.url, rebalance=True)
        notice = cloud.notice()
        assert notice is not None
        assert notice.reason == "rebalance recommendation"
        assert notice.deadline == pytest.approx(time.time() + 120, abs=5)
        service.answers[ACTION] = '{"action": "stop", "time": "2026-11-25T12:02:00Z"}'
        action = cloud.notice()
    assert action is not None
    assert action.reason == "spot instance action: stop"


def test_aws_token_that_ran_out_is_renewed():
    with metadata_service("aws") as service:
        cloud = find_cloud("aws", service.url)
        cloud.notice()
        service.tokens.append("of another process")  # the service knows ours no more
        service.answers[ACTION] = '{"action": "terminate", "time": "2026-11-25T12:02:00Z"}'
        assert cloud.notice() is not None


def test_gcp_preemption_and_maintenance():
    with metadata_service("gcp") as service:
        cloud = find_cloud("gcp", service.url)
        service.answers[MAINTENANCE] = "MIGRATE_ON_HOST_MAINTENANCE"
        assert cloud.notice() is None
        service.answers[MAINTENANCE] = "TERMINATE_ON_HOST_MAINTENANCE"
        maintenance = cloud.notice()
        service.answers[PREEMPTED] = "TRUE"
        preempted = cloud.notice()
    assert maintenance is not None
    assert "maintenance" in maintenance.reason
    assert preempted is not None
    assert preempted.deadline == pytest.approx(time.time() + 30, abs=5)


def test_azure_events_of_other_machines_and_kinds_are_not_ours():
    later = "Wed, 25 Nov 2026 12:02:00 GMT"
    with metadata_service("azure") as service:
        cloud = find_cloud("azure", service.url)
        service.answers[EVENTS] = azure_events(
            ("Preempt", "node-8", later), ("Freeze", "node-7", later), ("Reboot", "node-7", later)
        )
        assert cloud.notice() is None
        service.answers[EVENTS] = azure_events(
            ("Terminate", "node-7", "Wed, 25 Nov 2026 12:30:00 GMT"), ("Preempt", "node-7", later)
        )
        notice = cloud.notice()
        service.answers[EVENTS] = azure_events(("Preempt", "node-7", ""))  # begun
        begun = cloud.notice()
    assert notice == Notice("scheduled event: Preempt", AT.timestamp())
    assert begun is not None
    assert begun.deadline == pytest.approx(time.time(), abs=5)


class Drains:
    """Keeps what was drained; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.notices: list[Notice] = []

    def __call__(self, notice: Notice) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("Ray does not answer")
        self.notices.append(notice)


def test_a_node_is_drained_once_for_a_notice_and_again_for_a_more_urgent_one():
    drain = Drains()
    with metadata_service("aws") as service:
        watch = PreemptionWatch(find_cloud("aws", service.url, rebalance=True), drain)
        watch.look()
        assert drain.notices == []
        service.answers[REBALANCE] = "{}"
        watch.look()
        watch.look()
        assert [notice.reason for notice in drain.notices] == ["rebalance recommendation"]
        soon = datetime.fromtimestamp(time.time() + 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        service.answers[ACTION] = f'{{"action": "terminate", "time": "{soon}"}}'
        for _ in range(3):
            watch.look()
    assert [notice.reason for notice in drain.notices] == [
        "rebalance recommendation",
        "spot instance action: terminate",
    ]


def test_a_drain_that_fails_is_tried_again():
    drain = Drains(failures=2)
    with metadata_service("gcp") as service:
        service.answers[PREEMPTED] = "TRUE"
        watch = PreemptionWatch(find_cloud("gcp", service.url), drain)
        for _ in range(4):
            watch.look()
    assert len(drain.notices) == 1


def test_a_service_that_is_down_is_asked_again(caplog: pytest.LogCaptureFixture):
    drain = Drains()
    with metadata_service("gcp") as service:
        cloud = find_cloud("gcp", service.url)
        service.down = True
        with pytest.raises(MetadataError):
            cloud.notice()
        watch = PreemptionWatch(cloud, drain)
        watch.look()
        watch.look()
        assert len(caplog.records) == 1  # not one line each five seconds
        service.down = False
        service.answers[PREEMPTED] = "TRUE"
        watch.look()
    assert len(drain.notices) == 1


@pytest.mark.parametrize("answer", ["no JSON", "[]", '{"Events": [null]}', '{"Events": 7}'])
def test_an_answer_that_makes_no_sense_does_not_end_the_watch(answer: str):
    drain = Drains()
    with metadata_service("azure") as service:
        watch = PreemptionWatch(find_cloud("azure", service.url), drain)
        service.answers[EVENTS] = answer
        watch.look()
        service.answers[EVENTS] = azure_events(("Preempt", "node-7", ""))
        watch.look()
    assert len(drain.notices) == 1


def test_run_looks_at_intervals():
    drain, slept = Drains(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    with metadata_service("gcp") as service, pytest.raises(KeyboardInterrupt):
        PreemptionWatch(find_cloud("gcp", service.url), drain).run(5.0, sleep)
    assert slept == [5.0, 5.0, 5.0]
