"""What is made of a PodMonitor: the operator's own output for one like it, and a refusal of what is not understood."""

from typing import Any

import pytest

from tests.gateway.scrape import scrape_configs

pytestmark = pytest.mark.unit


def _monitor(**spec: object) -> dict[str, Any]:
    endpoint = {"port": "web", "relabelings": [{"sourceLabels": ["a"], "targetLabel": "b"}]}
    base = {"selector": {"matchLabels": {"app/name": "x"}}, "podMetricsEndpoints": [endpoint]}
    return {"metadata": {"name": "m", "namespace": "n"}, "spec": {**base, **spec}}


def test_a_monitor_keeps_the_pods_and_the_port_that_it_names() -> None:
    (job,) = scrape_configs(_monitor(), {}, "1s")
    assert job["job_name"] == "podMonitor/n/m/0"
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["n"]}}]
    kept = [rule for rule in job["relabel_configs"] if rule.get("action") == "keep"]
    assert [rule["regex"] for rule in kept] == ["(x);true", "web"]
    assert kept[0]["source_labels"] == [
        "__meta_kubernetes_pod_label_app_name",
        "__meta_kubernetes_pod_labelpresent_app_name",
    ]


def test_rules_of_a_monitor_s_own_come_last_in_prometheus_s_spelling() -> None:
    (job,) = scrape_configs(_monitor(), {}, "1s")
    assert job["relabel_configs"][-1] == {"source_labels": ["a"], "target_label": "b"}


def test_labels_of_the_pod_and_a_job_label_are_copied() -> None:
    (job,) = scrape_configs(_monitor(podTargetLabels=["a.b/c"], jobLabel="d"), {}, "1s")
    copied = {rule["target_label"]: rule for rule in job["relabel_configs"] if rule.get("regex") == "(.+)"}
    assert copied["a_b_c"]["source_labels"] == ["__meta_kubernetes_pod_label_a_b_c"]
    assert copied["job"]["source_labels"] == ["__meta_kubernetes_pod_label_d"]


def test_what_is_not_understood_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="PodMonitor m: sampleLimit is not understood"):
        scrape_configs(_monitor(sampleLimit=5), {}, "1s")
