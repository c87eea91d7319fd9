"""The bill of materials of a lock: CycloneDX 1.5 as JSON, the same for the same lock."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .installed import Installed
from .resolving import Package

__all__ = ["sbom"]

_NAMESPACE = uuid.UUID("8c0b6a0e-6f0e-5d0b-9a52-1f3c8f7f3b11")


def sbom(
    packages: Sequence[Package],
    installed: Mapping[str, Installed],
    *,
    pipeline: str,
    requirements: Sequence[str],
) -> str:
    """`installed` adds what a lock does not say: licences, and which package needs which."""
    names = {package.name: _reference(package) for package in packages}
    root = f"pipeline:{pipeline}"
    direct = [canonicalize_name(Requirement(one).name) for one in requirements]
    needs = {names[package.name]: _needs(package, installed, names) for package in packages}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": root, "name": pipeline},
            "tools": {"components": [{"type": "application", "name": "penstock-deploy"}]},
        },
        "components": [_component(package, installed.get(package.name)) for package in packages],
        "dependencies": [
            {"ref": root, "dependsOn": sorted(names[name] for name in direct if name in names)},
            *({"ref": name, "dependsOn": needed} for name, needed in needs.items()),
        ],
    }
    # Not random, and no time of day: the same lock gives the same bill.
    number = uuid.uuid5(_NAMESPACE, json.dumps(bill, sort_keys=True))
    numbered = {**dict(list(bill.items())[:2]), "serialNumber": f"urn:uuid:{number}", **bill}
    return json.dumps(numbered, indent=2, ensure_ascii=False) + "\n"


def _reference(package: Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


def _component(package: Package, installed: Installed | None) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(package),
        "name": package.name,
        "version": package.version,
        "purl": _reference(package),
        "externalReferences": list(_files(package)),
    }
    if len(package.artifacts) == 1:
        component["hashes"] = [_hash(package.artifacts[0].sha256)]
    if installed is not None and installed.version == package.version and installed.license:
        component["licenses"] = [_license(installed.license)]
    return component


def _files(package: Package) -> Iterator[dict[str, Any]]:
    for one in package.artifacts:
        url = one.url or one.name  # a file of our own has no address, only a name
        yield {"type": "distribution", "url": url, "hashes": [_hash(one.sha256)]}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _license(text: str) -> dict[str, Any]:
    first = text.strip().splitlines()[0]
    words = first.replace("(", " ").replace(")", " ").split()
    if first == text and all(one[0].isalnum() and "," not in one for one in words[::2]):
        if len(words) == 1 or set(words[1::2]) <= {"AND", "OR", "WITH"}:
            return {"expression": first}
    return {"license": {"name": first}}


def _needs(
    package: Package, installed: Mapping[str, Installed], names: Mapping[str, str]
) -> list[str]:
    here = installed.get(package.name)
    if here is None or here.version != package.version:
        return []
    return sorted(names[name] for name in here.needs if name in names)
