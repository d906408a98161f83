"""A Pulumi program that asks for what a file lists: each resource by its type, its name and its inputs.

Kubernetes objects are rendered, not applied: no cluster knows all of their kinds. Charts are installed. The provider of AWS is the
first one that the list has.
"""

import json
import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi_kubernetes import Provider

RELEASE = "kubernetes:helm.sh/v3:Release"
config = pulumi.Config("policies")
listed: list[dict[str, Any]] = json.loads(Path(config.require("resources")).read_text(encoding="utf-8"))
# Each provider would take it for its own, and one that renders refuses it.
os.environ.pop("KUBECONFIG", None)
rendered = Provider("rendered", render_yaml_to_directory=config.require("rendered"))
cluster = Provider("cluster", kubeconfig=config.require("kubeconfig"))
providers: dict[str, pulumi.ProviderResource] = {}
for each in listed:
    package = each["type"].removeprefix("pulumi:providers:")
    if package != each["type"]:
        made = pulumi.ProviderResource(package, each["name"], each["inputs"])
        providers.setdefault(package, made)
for each in listed:
    package = each["type"].partition(":")[0]
    if package == "pulumi":
        continue
    inputs = dict(each["inputs"])
    if each["type"] == RELEASE:
        inputs |= {"chart": f"{config.require('charts')}/{inputs['chart']}", "createNamespace": True}
        provider: pulumi.ProviderResource = cluster
    else:
        provider = rendered if package == "kubernetes" else providers[package]
    pulumi.CustomResource(each["type"], each["name"], inputs, pulumi.ResourceOptions(provider=provider))
