"""Write a Helm chart from the kustomize files: one source, two ways to install it.

    python deploy/chart.py FOLDER        # then: helm install unmask FOLDER

The templates are the documents of `kubernetes/base`, with what differs from cluster to cluster taken
out into values.yaml: images, replicas, resources, settings, the volume, the secret's name. `gpu` and
`keda` in it switch on what the overlay `gpu` and the component `keda` do. Needs kubectl.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent
Document = dict[str, Any]
#: What is taken out of a document of each kind: where it lies, and its name among the values. A name
#: may hold {role}. Lists are walked into by number.
_TAKEN: dict[str, tuple[tuple[str, str], ...]] = {
    "Deployment": (
        ("spec.replicas", "{role}.replicas"),
        ("spec.template.spec.containers.0.image", "image.{device}"),
        ("spec.template.spec.containers.0.resources", "{role}.resources"),
        ("spec.template.spec.containers.0.envFrom.1.secretRef.name", "secret"),
        ("spec.template.spec.nodeSelector", "{role}.nodeSelector"),
        ("spec.template.spec.tolerations", "{role}.tolerations"),
    ),
    "ConfigMap": (("data", "settings"),),
    "PersistentVolumeClaim": (("spec", "volume"),),
    "ScaledObject": (
        ("spec.minReplicaCount", "{role}.scale.min"),
        ("spec.maxReplicaCount", "{role}.scale.max"),
        ("spec.triggers.0.metadata.threshold", "{role}.scale.threshold"),
        ("spec.triggers.0.metadata.serverAddress", "prometheus"),
    ),
}


def rendered(folder: str) -> list[Document]:
    """The documents of a kustomize folder."""
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes" / folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def chart() -> dict[str, str]:
    """File name -> text of the whole chart."""
    plain = {_name(each): each for each in rendered("base")}
    gpu = {_name(each): each for each in rendered("overlays/gpu")}
    values: Document = {"gpu": False, "keda": False}
    files = {}
    for name, document in gpu.items():
        differs = name in plain and document != plain[name]
        text = _template(document, values, on_gpu=differs)
        if name not in plain:
            text = f"{{{{- if .Values.keda }}}}\n{text}{{{{- end }}}}\n"
        elif differs:
            other = _template(plain[name], values, on_gpu=False)
            text = f"{{{{- if .Values.gpu }}}}\n{text}{{{{- else }}}}\n{other}{{{{- end }}}}\n"
        files[f"templates/{name}.yaml"] = text
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    about = {"apiVersion": "v2", "name": "unmask", "version": version, "appVersion": version}
    files["Chart.yaml"] = yaml.safe_dump(about | {"type": "application"}, sort_keys=False)
    files["values.yaml"] = yaml.safe_dump(values, sort_keys=False)
    return files


def _template(document: Document, values: Document, *, on_gpu: bool) -> str:
    """The document with expressions in place of what is taken out of it, which goes to `values`."""
    copy: Document = json.loads(json.dumps(document))
    role = document["metadata"]["name"].removeprefix("unmask-")
    for path, name in _TAKEN.get(document["kind"], ()):
        found = list(_holders(copy, path.split(".")))
        if not found:
            continue
        holder, key = found[0]
        of_gpu = on_gpu and not name.endswith("replicas")
        where = name.format(
            role=f"{role}.gpu" if of_gpu else role, device="gpu" if on_gpu else "cpu"
        )
        _put(values, where.split("."), holder[key])
        holder[key] = f"<<{where}>>"
    text = yaml.safe_dump(copy, sort_keys=False, width=1000)
    return re.sub(r"'?<<([\w.]+)>>'?", r"{{ toJson .Values.\1 }}", text)


def _holders(node: Any, path: list[str]) -> Iterator[tuple[Any, Any]]:
    key: Any = int(path[0]) if isinstance(node, list) else path[0]
    there = key < len(node) if isinstance(node, list) else key in node
    if there and len(path) == 1:
        yield node, key
    elif there:
        yield from _holders(node[key], path[1:])


def _put(values: Document, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value


def _name(document: Document) -> str:
    return f"{document['kind']}-{document['metadata']['name']}".lower()


def main(folder: str) -> None:
    """Write the chart."""
    for name, text in chart().items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
