"""The Kubernetes files fit the schemas, speak of this version, and leave nothing open by mistake."""

import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.console.test_deploy import _exists
from tests.unit.console.test_observing import known
from unmask.settings import Settings

ROOT = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
VERSION = "1.31"
ROLES = {"api", "ingest", "score", "stream", "verdict"}
OVERLAYS = ["base", "overlays/local", "overlays/gpu"]
#: Kinds whose schemas are not Kubernetes's own.
_FOREIGN = {"ScaledObject"}


def rendered(name: str) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl absent: kustomize cannot render the overlays")
    done = subprocess.run(
        [kubectl, "kustomize", str(ROOT / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def written() -> list[tuple[Path, dict[str, Any]]]:
    """Every document of every file that is no kustomization and no patch."""
    found = []
    for path in sorted(ROOT.rglob("*.yaml")):
        if path.name != "kustomization.yaml" and path != ROOT / "overlays/gpu/score.yaml":
            found += [(path, each) for each in yaml.safe_load_all(path.read_text()) if each]
    return found


def pods(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = ("Deployment", "StatefulSet")
    return [each["spec"]["template"]["spec"] for each in documents if each["kind"] in kinds]


def test_every_document_fits_the_schema_of_its_kind() -> None:
    for path, document in written():
        if document["kind"] not in _FOREIGN:
            kubernetes_validate.validate(document, VERSION, strict=True)
        assert document["metadata"]["name"], path


def test_a_document_that_does_not_fit_would_be_noticed() -> None:
    [wrong] = [d for p, d in written() if p.name == "api.yaml" and d["kind"] == "Deployment"]
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_renders_to_valid_documents_with_every_role(name: str) -> None:
    documents = rendered(name)
    for document in documents:
        if document["kind"] not in _FOREIGN:
            kubernetes_validate.validate(document, VERSION, strict=True)
    kinds = [(each["kind"], each["metadata"]["name"]) for each in documents]
    for role in ROLES:
        assert ("Deployment", f"unmask-{role}") in kinds
        assert ("PodDisruptionBudget", f"unmask-{role}") in kinds
    assert len(kinds) == len(set(kinds))


def test_every_command_and_variable_is_of_this_version() -> None:
    variables = {f"UNMASK_{name.upper()}" for name in Settings.model_fields}
    for path in ROOT.rglob("*.yaml"):
        assert set(re.findall(r"UNMASK_[A-Z_]*[A-Z]", path.read_text())) <= variables, path
    for _, document in written():
        if document["kind"] == "Deployment":
            for container in document["spec"]["template"]["spec"]["containers"]:
                assert container["command"][0] == "unmask"
                _exists(container["command"][1:])


def test_no_pod_is_root_writes_its_root_or_holds_a_capability() -> None:
    documents = [document for _, document in written()]
    assert len(pods(documents)) == len(ROLES) + 2
    for pod in pods(documents):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            held = container["securityContext"]
            assert held["readOnlyRootFilesystem"] is True
            assert held["allowPrivilegeEscalation"] is False
            assert held["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_workers_reach_dns_redis_and_the_database_and_nothing_else() -> None:
    policies = [d["spec"] for _, d in written() if d["kind"] == "NetworkPolicy"]
    deny = [p for p in policies if p["policyTypes"] == ["Ingress", "Egress"]]
    assert deny == [
        {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "unmask"}},
            "policyTypes": ["Ingress", "Egress"],
        }
    ]
    open_to = {
        policy["podSelector"]["matchLabels"].get("app.kubernetes.io/component"): policy["egress"]
        for policy in policies
        if "egress" in policy
    }
    assert set(open_to) == {None, "stream"}, "all of them, and the role that fetches streams"
    assert _ports(open_to[None]) == [53, 5432, 6379]
    assert _ports(open_to["stream"]) == [80, 322, 443, 554, 1935]
    [[block]] = [rule["to"] for rule in open_to["stream"]]
    for inside in ("10.1.2.3", "169.254.169.254", "192.168.0.1", "172.20.0.1", "127.0.0.1"):
        networks = [ip_network(each) for each in block["ipBlock"]["except"]]
        assert any(ip_address(inside) in network for network in networks), inside


def _ports(rules: list[dict[str, Any]]) -> list[int]:
    assert all(rule.get("to") for rule in rules), "no rule without a destination"
    return sorted({port["port"] for rule in rules for port in rule["ports"]})


def test_scaling_asks_for_metrics_that_exist_and_scales_roles_that_exist() -> None:
    scaled = [document for _, document in written() if document["kind"] == "ScaledObject"]
    assert {s["spec"]["scaleTargetRef"]["name"] for s in scaled} == {
        "unmask-ingest", "unmask-score", "unmask-verdict",
    }  # fmt: skip
    for each in scaled:
        [trigger] = each["spec"]["triggers"]
        names = set(re.findall(r"unmask_[a-z_]+", trigger["metadata"]["query"]))
        assert names and names <= set(known())
        assert each["spec"]["minReplicaCount"] < each["spec"]["maxReplicaCount"]
