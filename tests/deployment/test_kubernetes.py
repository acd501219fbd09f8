"""deploy/kubernetes: the manifests fit together, and their commands, settings and probes are real.

There is no cluster here. The tests run the services as processes, with the environments of the manifests.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deployment.manifests import (
    BASE,
    COMPONENT,
    DEPLOYMENTS,
    EXAMPLES,
    FOLDER,
    NAME,
    Manifest,
    container,
    documents,
    environment,
    of_kind,
    pod,
    ports,
    workloads,
)
from tests.deployment.processes import answers, check_settings, parse, running
from tests.deployment.test_compose import COMPOSE, DOCKERFILE
from tests.ports import free_port

SCALED = documents("keda/scaled-objects.yaml")
EACH_DEPLOYMENT = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
METRIC = re.compile(r"\bunspool_\w+")


def test_every_service_has_a_deployment() -> None:
    assert set(DEPLOYMENTS) == {"unspool-api", "unspool-worker", "unspool-executor", "unspool-timer"}


@EACH_DEPLOYMENT
def test_command_and_settings_exist(deployment: Manifest) -> None:
    parse(container(deployment)["args"])
    check_settings(environment(deployment))


@EACH_DEPLOYMENT
def test_an_update_starts_a_new_pod_before_it_stops_an_old_one(deployment: Manifest) -> None:
    spec = deployment["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert spec["replicas"] >= 2
    graces = (
        value for name, value in environment(deployment).items() if re.search("GRACE|STOP_SECONDS", name)
    )
    before_stop = container(deployment).get("lifecycle", {}).get("preStop", {}).get("exec", {})
    waits = sum(map(int, before_stop.get("command", ["sleep", "0"])[1:]))
    assert pod(deployment)["terminationGracePeriodSeconds"] >= waits + max(map(float, graces)) + 10


@pytest.mark.parametrize("workload", list(workloads()), ids=lambda workload: workload["metadata"]["name"])
def test_pods_have_no_rights(workload: Manifest) -> None:
    """As the level `restricted` of Kubernetes demands, and a root file system that cannot be written."""
    assert of_kind("Namespace")["unspool"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }
    spec = pod(workload)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # a Service would set UNSPOOL_API_PORT to an URL
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in [*spec["containers"], *spec.get("initContainers", ())]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == each["resources"].keys()


@EACH_DEPLOYMENT
def test_pods_run_as_the_user_of_the_image_and_can_write_to_its_working_directory(
    deployment: Manifest,
) -> None:
    user, group = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[-1]
    context = pod(deployment)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    mounted = [mount["mountPath"] for mount in container(deployment)["volumeMounts"]]
    assert re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[-1] in mounted


def test_selectors_choose_the_pods_that_they_mean() -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads()]
    for workload in workloads():
        chosen = workload["spec"]["selector"]["matchLabels"]
        assert labels.count(chosen) == 1
    for budget in of_kind("PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"] in labels
    chosen_by = {
        name: [each for each in labels if service["spec"]["selector"].items() <= each.items()]
        for name, service in of_kind("Service").items()
    }
    assert {name: sorted(each.get(COMPONENT, "") for each in found) for name, found in chosen_by.items()} == {
        "unspool-api": ["api"],
        "unspool-redis": [""],
        "unspool-metrics": ["api", "executor", "timer", "worker"],
    }


def test_every_deployment_has_a_budget() -> None:
    assert set(of_kind("PodDisruptionBudget")) == set(DEPLOYMENTS)


def test_ports_match() -> None:
    for deployment in DEPLOYMENTS.values():
        assert ports(deployment)["metrics"] == int(environment(deployment)["UNSPOOL_METRICS_PORT"])
    api = DEPLOYMENTS["unspool-api"]
    assert ports(api)["http"] == int(environment(api)["UNSPOOL_API_PORT"])
    known = {name for deployment in DEPLOYMENTS.values() for name in ports(deployment)} | {"redis"}
    for service in of_kind("Service").values():
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= known
    [ingress] = of_kind("Ingress").values()
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    backend = path["backend"]["service"]
    [port] = of_kind("Service")[backend["name"]]["spec"]["ports"]
    assert port["name"] == backend["port"]["name"]


def test_network_policies_name_pods_and_ports_that_exist() -> None:
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads()]
    named = {NAME: {each[NAME] for each in labels}, COMPONENT: {each.get(COMPONENT) for each in labels}}
    for policy in of_kind("NetworkPolicy").values():
        for label, value in re.findall(r"(app\.kubernetes\.io/\w+): ([\w-]+)", yaml.safe_dump(policy)):
            assert value in named[label]
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= {"http", "metrics", "redis"}
    assert of_kind("NetworkPolicy")["unspool-default"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }


def test_redis_has_the_settings_of_the_compose_file() -> None:
    [redis] = of_kind("StatefulSet").values()
    [server] = pod(redis)["containers"]
    theirs, ours = COMPOSE["services"]["redis"], " ".join(server["command"])
    assert server["image"] == theirs["image"]
    assert " ".join(theirs["command"][1:]) in ours
    [initial] = pod(redis)["initContainers"]
    assert initial["image"] == theirs["image"]


def test_the_url_of_the_example_leads_to_the_redis() -> None:
    secret = of_kind("Secret")["unspool-store"]["stringData"]
    [port] = of_kind("Service")["unspool-redis"]["spec"]["ports"]
    assert secret["url"] == f"redis://:{secret['password']}@unspool-redis:{port['port']}/0"


def test_the_image_is_the_one_of_the_compose_file() -> None:
    images = {container(deployment)["image"] for deployment in DEPLOYMENTS.values()}
    [kustomization] = documents("base/kustomization.yaml")
    [replaced] = kustomization["images"]
    assert images == {COMPOSE["services"]["api"]["image"]}
    assert images == {f"{replaced['name']}:{replaced['newTag']}"}


def test_autoscaling_changes_deployments_that_exist() -> None:
    for scaled in SCALED:
        target = scaled["spec"]["scaleTargetRef"]["name"]
        assert scaled["spec"]["minReplicaCount"] == DEPLOYMENTS[target]["spec"]["replicas"]
        [kustomization] = documents("keda/kustomization.yaml")
        [patch] = kustomization["patches"]
        assert re.fullmatch(patch["target"]["name"], target)


@pytest.mark.timeout(300)
async def test_probes_and_metrics_of_services_that_run(redis_database: str, tmp_path: Path) -> None:
    """Each service runs with the environment of its pod. Probes answer, and queries of KEDA find values."""
    shown = await asyncio.gather(
        *(_probed(deployment, redis_database, tmp_path) for deployment in DEPLOYMENTS.values())
    )
    series = {line for text in shown for line in re.split(r"[\s{]", text)}
    queues = {
        queue
        for text in shown
        for queue in re.findall(r'unspool_queue_oldest_seconds{queue="([^"]+)"}', text)
    }
    asked = 0
    for trigger in (trigger for scaled in SCALED for trigger in scaled["spec"]["triggers"]):
        query = trigger["metadata"].get("query", "")
        for name in METRIC.findall(query):
            asked += 1
            assert name in series, query
        for operator, value in re.findall(r'queue(=~?)"([^"]+)"', query):
            assert any(re.fullmatch(value, queue) if operator == "=~" else value == queue for queue in queues)
    assert asked == 4


async def _probed(deployment: Manifest, redis: str, folder: Path) -> str:
    """Runs a service, sends the requests of its probes, and returns its metrics."""
    metrics_port = free_port()
    here = {
        "UNSPOOL_STORE": redis,
        "UNSPOOL_API_HOST": "127.0.0.1",
        "UNSPOOL_API_PORT": str(free_port()),
        "UNSPOOL_METRICS_HOST": "127.0.0.1",
        "UNSPOOL_METRICS_PORT": str(metrics_port),
    }
    settings = environment(deployment)
    settings |= {name: value for name, value in here.items() if name in settings}
    described = container(deployment)
    log = folder / f"{described['name']}.log"
    async with contextlib.AsyncExitStack() as stack:
        started = await stack.enter_async_context(running(described["args"], settings, log, 30))
        for probe in ("livenessProbe", "readinessProbe"):
            request: dict[str, Any] = described[probe]["httpGet"]
            assert request["port"] == "metrics"
            await answers(f"http://127.0.0.1:{metrics_port}{request['path']}", started)
        return await answers(f"http://127.0.0.1:{metrics_port}/metrics", started)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", ["base", "keda"])
def test_kubectl_reads_the_kustomization(folder: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", FOLDER / folder], capture_output=True, text=True, timeout=60, check=True
    )
    built_manifests = list(yaml.safe_load_all(built.stdout))
    assert len(built_manifests) == len(BASE) + (len(SCALED) if folder == "keda" else 0)
    assert {each["metadata"].get("namespace") for each in built_manifests} == {"unspool", None}
    replicas = [each["spec"].get("replicas") for each in built_manifests if each["kind"] == "Deployment"]
    assert replicas.count(None) == (len(SCALED) if folder == "keda" else 0)


def test_examples_are_no_part_of_the_kustomization() -> None:
    assert not {each["kind"] for each in BASE} & {each["kind"] for each in EXAMPLES}
