"""`penstock certify`: holds an installed package to its rules and writes what came of it."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import penstock
from penstock import UsageError, certificates
from penstock.errors import EXIT_OK, EXIT_TESTS

from .packaging import PACKAGE_RULES, Package, broken_by, package_of, rule_of
from .runner import Outcome, hold

__all__ = ["Command", "certificate_of"]


class Command:
    HELP = "hold an installed package to the rules for plugins and write a certificate"

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("distribution", help="an installed package, as penstock-input-csv")
        parser.add_argument(
            "--output", type=Path, help="where to write it (default: in this environment)"
        )
        parser.add_argument("--json", action="store_true", help="print the certificate as well")
        parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")

    @staticmethod
    def run(options: Any) -> int:
        package = package_of(options.distribution)
        refusals = [f"{rule.sentence}: {said}" for rule, said in broken_by(package)]
        outcomes = _held(package) if not refusals else []
        refusals += [str(one) for one in outcomes if one.state == "failed"]
        if not refusals:
            refusals += _without_a_suite(package, outcomes)
        if refusals:
            for one in refusals:
                print(f"{package.name}: {one}", file=sys.stderr)
            print(f"{package.name} {package.version}: refused", file=sys.stderr)
            return EXIT_TESTS
        made = certificate_of(package, outcomes)
        text = json.dumps(made, indent=2)
        path = options.output or certificates.folder() / f"{package.name}.json"
        _write(path, text)
        if options.json:
            print(text)
        print(_summary(made, path), file=sys.stderr)
        return EXIT_OK


def _held(package: Package) -> list[Outcome]:
    found = find_spec(package.conformance or "")
    assert found is not None
    return hold(Path(found.origin or ""))


def _without_a_suite(package: Package, outcomes: Sequence[Outcome]) -> list[str]:
    """Components that a package provides and no suite of it holds."""
    held = {one.figures.get("component") for one in outcomes}
    roles = {"input", "inspector", "transformer", "output"}
    missing = [
        f"{kind} {name}"
        for kind, name, target in _targets(package)
        if kind in roles and target not in held
    ]
    if not missing:
        return []
    return [
        f"everything that a package provides is held by a suite: {' and '.join(missing)} is not"
    ]


def _targets(package: Package) -> list[tuple[str, str, str]]:
    plugins = penstock.Plugins()
    found = []
    for kind, name in package.provides:
        for one in plugins.names(kind)[name]:
            if one.plugin == package.found[0].name and kind != "command":
                made = one.load()
                found.append((kind, name, f"{made.__module__}:{made.__qualname__}"))
    return found


def certificate_of(package: Package, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What is certified, as JSON."""
    figures = {
        suite: _figures([one for one in outcomes if one.suite == suite])
        for suite in dict.fromkeys(one.suite for one in outcomes)
    }
    promises = {
        one.figures["component"]: one.figures.get("promises", "")
        for one in outcomes
        if "component" in one.figures
    }
    return {
        "distribution": package.name,
        "version": package.version,
        "penstock": penstock.__version__,
        "python": platform.python_version(),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "components": [
            {"kind": kind, "name": name, "promises": promises.get(target, "")}
            for kind, name, target in _targets(package)
        ],
        "rules_passed": len(PACKAGE_RULES) + sum(one.state == "passed" for one in outcomes),
        "rules": [
            *({"suite": "package", "rule": rule_of(one).name} for one in PACKAGE_RULES),
            *({"suite": o.suite, "rule": o.rule} for o in outcomes if o.state == "passed"),
        ],
        "waivers": [
            {"suite": one.suite, "rule": one.rule, "reason": one.message}
            for one in outcomes
            if one.state == "waived"
        ],
        "skipped": [
            {"suite": one.suite, "rule": one.rule, "reason": one.message}
            for one in outcomes
            if one.state == "skipped"
        ],
        "kills_survived": sum(one.figures.get("kills_survived", 0) for one in outcomes),
        "figures": figures,
    }


def _figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in outcomes:
        found.update(one.figures)
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), hint="give another --output"
        ) from error


def _summary(made: dict[str, Any], path: Path) -> str:
    lines = [f"waived: {one['suite']}: {one['rule']}: {one['reason']}" for one in made["waivers"]]
    lines += [f"skipped: {one['suite']}: {one['reason']}" for one in made["skipped"]]
    lines.append(
        f"{made['distribution']} {made['version']}: {made['rules_passed']} rules kept, "
        f"{len(made['waivers'])} waived, {made['kills_survived']} kills survived; wrote {path}"
    )
    return "\n".join(dict.fromkeys(lines))
