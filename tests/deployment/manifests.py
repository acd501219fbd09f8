"""Reads the manifests in deploy/kubernetes."""

from collections.abc import Iterator
from typing import Any

import yaml
from tests.deployment.processes import ROOT

FOLDER = ROOT / "deploy/kubernetes"
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"

Manifest = dict[str, Any]


def documents(path: str) -> list[Manifest]:
    """Returns the manifests in a file."""
    return list(yaml.safe_load_all((FOLDER / path).read_text()))


def kustomized(folder: str) -> list[Manifest]:
    """Returns the manifests that a kustomization lists."""
    [kustomization] = documents(f"{folder}/kustomization.yaml")
    files = [file for file in kustomization["resources"] if file.endswith(".yaml")]
    return [document for file in files for document in documents(f"{folder}/{file}")]


BASE = kustomized("base")
EXAMPLES = [*documents("base/secret.example.yaml"), *documents("base/ingress.example.yaml")]


def of_kind(kind: str) -> dict[str, Manifest]:
    """Returns the manifests of a kind, by name."""
    return {each["metadata"]["name"]: each for each in BASE + EXAMPLES if each["kind"] == kind}


DEPLOYMENTS = of_kind("Deployment")
CONFIGURED: dict[str, str] = of_kind("ConfigMap")["unspool"]["data"]


def pod(workload: Manifest) -> Manifest:
    """Returns the specification of the pods of a Deployment or StatefulSet."""
    found: Manifest = workload["spec"]["template"]["spec"]
    return found


def container(deployment: Manifest) -> Manifest:
    """Returns the one container of a Deployment."""
    [found] = pod(deployment)["containers"]
    return dict(found)


def environment(deployment: Manifest) -> dict[str, str]:
    """Returns the environment of a Deployment, with the example of the secret."""
    found = dict(CONFIGURED)
    for variable in container(deployment)["env"]:
        source = variable.get("valueFrom", {}).get("secretKeyRef")
        secret = of_kind("Secret")[source["name"]]["stringData"][source["key"]] if source else None
        found[variable["name"]] = variable.get("value", secret)
    return found


def ports(deployment: Manifest) -> dict[str, int]:
    """Returns the ports of a Deployment by name."""
    return {port["name"]: port["containerPort"] for port in container(deployment)["ports"]}


def workloads() -> Iterator[Manifest]:
    """Yields what has pods."""
    yield from DEPLOYMENTS.values()
    yield from of_kind("StatefulSet").values()
