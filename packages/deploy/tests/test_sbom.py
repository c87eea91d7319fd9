"""The bill of materials: every locked package, its hash, its licence, and what needs it."""

from __future__ import annotations

import json

from penstock_deploy.installed import Installed
from penstock_deploy.resolving import Artifact, Package
from penstock_deploy.sbom import sbom

PACKAGES = [
    Package("lib", "2.0", [Artifact("lib-2.0-py3-none-any.whl", "aa" * 32, url="http://h/lib")]),
    Package(
        "top", "1.0", [Artifact("top-1.0-py3-none-any.whl", "bb" * 32), Artifact("x", "c" * 64)]
    ),
]
INSTALLED = {
    "lib": Installed("lib", "2.0", "MIT OR Apache-2.0"),
    "top": Installed("top", "1.0", "BSD License\nand much text", ["lib", "elsewhere"]),
}


def bill(packages=PACKAGES, installed=INSTALLED):
    return json.loads(sbom(packages, installed, pipeline="shop", requirements=["top==1.0"]))


def test_it_is_cyclonedx_with_every_package():
    found = bill()
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.5", 1)
    assert found["serialNumber"].startswith("urn:uuid:")
    assert found["metadata"]["component"]["name"] == "shop"
    assert [one["purl"] for one in found["components"]] == ["pkg:pypi/lib@2.0", "pkg:pypi/top@1.0"]


def test_it_says_what_needs_what():
    assert bill()["dependencies"] == [
        {"ref": "pipeline:shop", "dependsOn": ["pkg:pypi/top@1.0"]},
        {"ref": "pkg:pypi/lib@2.0", "dependsOn": []},
        {"ref": "pkg:pypi/top@1.0", "dependsOn": ["pkg:pypi/lib@2.0"]},
    ]


def test_hashes_and_licences_are_told():
    lib, top = bill()["components"]
    assert lib["hashes"] == [{"alg": "SHA-256", "content": "aa" * 32}]
    assert lib["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert "hashes" not in top, "several files have several"
    assert [one["hashes"][0]["content"] for one in top["externalReferences"]] == [
        "bb" * 32,
        "c" * 64,
    ]
    assert top["licenses"] == [{"license": {"name": "BSD License"}}]


def test_another_version_that_is_installed_says_nothing_of_the_locked_one():
    other = {"top": Installed("top", "0.9", "MIT", ["lib"])}
    found = bill(installed=other)
    assert "licenses" not in found["components"][1]
    assert found["dependencies"][2] == {"ref": "pkg:pypi/top@1.0", "dependsOn": []}


def test_the_same_lock_gives_the_same_bill_and_another_lock_another_number():
    assert bill() == bill()
    assert bill()["serialNumber"] != bill(PACKAGES[:1])["serialNumber"]
