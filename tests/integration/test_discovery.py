"""Plugins are found as everybody else finds entry points, only quicker."""

from __future__ import annotations

from importlib import metadata

from repository import PACKAGES

from penstock.plugins import GROUP, entry_points


def test_the_core_finds_what_importlib_metadata_finds():
    """`entry_points.txt` is read by the core itself (docs/explanation/decisions/0006)."""
    found = {(one.name, one.version, one.entry, one.module) for one in entry_points()}
    expected = {
        (point.dist.metadata["Name"].lower(), point.dist.version, point.name, point.value)
        for point in metadata.entry_points(group=GROUP)
        if point.dist is not None
    }
    assert found == expected
    ours = {package.distribution for package in PACKAGES if package.plugins} - {"penstock"}
    assert ours <= {name for name, *_ in found}
