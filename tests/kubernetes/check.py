"""Holds the manifest and the chart of deploy/ together, and both against the schemas that Kubernetes publishes.

Helm's own library renders (helm-python-sdk carries it); kubernetes-validate carries the schemas. Prints a line for each
check that was made; whatever is wrong ends it with what and where.

    check.py DEPLOY
"""

import sys
from pathlib import Path

import helm_python as helm
import kubernetes_validate as schemas
import yaml

# The oldest that the manifest is for, the first with nodes/pods, and the newest that is published here.
VERSIONS = ["1.30", "1.33", schemas.latest_version()]

# Values that leave no part of a template out, and none in.
MORE = {
    "image": {"repository": "registry.example/spoor", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "pull"}],
    "config": '[[sink]]\nname = "out"\ntype = "stdout"\n',
    "purposes": {"nightly.toml": "# none\n"},
    "kubelet": {"resource": "nodes/proxy", "ca": "/var/lib/kubelet/pki/kubelet.crt"},
    "statePath": "/data/spoor",
    "extraCapabilities": ["SYS_RESOURCE"],
    "seccompProfile": {"type": "RuntimeDefault"},
    "seLinuxOptions": {"type": "spc_t"},
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
}
LESS = {
    "kubelet": {"enabled": False},
    "tolerations": [],
    "nodeSelector": {},
    "priorityClassName": "",
    "resources": {},
    "seccompProfile": {},
}

# What values.schema.json has to refuse.
WRONG = [
    {"imag": {}},
    {"image": {"digest": "sha256:0"}},
    {"kubelet": {"resource": "nodes/stats"}},
    {"extraCapabilities": ["CAP_SYS_ADMIN"]},
    {"purposes": {"../x": ""}},
    {"telemetry": {"port": 0}},
    {"statePath": "var/lib/spoor"},
]


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def rendered(chart, values):
    notes, found = None, []
    for path, text in chart.render(values, name="spoor", namespace="spoor").items():
        if path.endswith("NOTES.txt"):
            notes = text
        elif not path.endswith(".tpl"):
            found += documents(text)
    assert notes and "{{" not in notes, f"notes: {notes}"
    return found


def valid(what, found):
    for version in VERSIONS:
        for document in found:
            schemas.validate(document, version, strict=True)
    print(f"{what}: {len(found)} objects fit the schemas of {', '.join(VERSIONS)}")


def by_name(found):
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def same(manifest, chart):
    """A namespace is the manifest's alone, the sum over the config is the chart's."""
    ours, theirs = by_name(manifest), by_name(chart)
    ours.pop(("Namespace", "spoor"))
    annotations = theirs[("DaemonSet", "spoor")]["spec"]["template"]["metadata"].pop("annotations")
    assert list(annotations) == ["checksum/config"], annotations
    # Comments are for people; what the agent reads is compared.
    config = ("ConfigMap", "spoor-config")
    for side in (ours, theirs):
        lines = side[config]["data"]["spoor.toml"].splitlines()
        side[config]["data"]["spoor.toml"] = [line for line in lines if line and line[0] != "#"]
    assert ours.keys() == theirs.keys(), f"{ours.keys() ^ theirs.keys()} is on one side only"
    for name, one in ours.items():
        assert one == theirs[name], f"{name} differs:\n{yaml.dump(one)}\n{yaml.dump(theirs[name])}"
    print(f"the chart renders the manifest: {len(ours)} objects are the same")


def broken(manifest):
    """The schemas would notice: a misspelt key and a wrong type are refused."""
    for key, value in (("hostPid", True), ("hostNetwork", "yes")):
        pod = by_name(manifest)[("DaemonSet", "spoor")]
        pod["spec"]["template"]["spec"][key] = value
        try:
            schemas.validate(pod, VERSIONS[0], strict=True)
        except schemas.ValidationError:
            pod["spec"]["template"]["spec"].pop(key)
            continue
        raise AssertionError(f"{key}: {value} was not refused")


def main(deploy):
    folder = deploy / "helm" / "spoor"
    text = (deploy / "kubernetes" / "spoor.yaml").read_text()
    valid("spoor.yaml", documents(text))
    valid("secret.example.yaml", documents((deploy / "kubernetes" / "secret.example.yaml").read_text()))
    broken(documents(text))
    report = helm.lint(folder, strict=True)
    found = [one for one in report["messages"] if one["severity"] > 1]
    assert not found and not report["errors"], report
    print(f"helm lint: nothing, by Helm {helm.helm_sdk_version()}")
    chart = helm.Chart.load(folder)
    same(documents(text), rendered(chart, {}))
    for name, values in (("defaults", {}), ("more", MORE), ("less", LESS)):
        valid(f"chart, {name}", rendered(chart, values))
    for values in WRONG:
        try:
            chart.validate_schema(values)
        except helm.HelmError:
            continue
        raise AssertionError(f"the chart takes {values}")
    print(f"values.schema.json refuses {len(WRONG)} mistakes")


main(Path(sys.argv[1]))
