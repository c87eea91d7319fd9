"""All packages together, from wheels: every plugin is found and none is broken or in conflict."""

from __future__ import annotations

import json
import subprocess
import sys


def test_every_plugin_is_found_and_whole(everything, packages):
    done = everything.run("penstock", "plugins", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    found = {plugin["name"]: plugin["version"] for plugin in listed}
    expected = {p.distribution: p.project["version"] for p in packages if p.plugins}
    assert found == expected
    assert [plugin for plugin in listed if plugin["state"] == "broken"] == []


def test_what_is_installed_fits_together(everything):
    """No package asks for a version of another that the others do not bring."""
    pip = [sys.executable, "-m", "pip", "--python", everything.path, "check"]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
