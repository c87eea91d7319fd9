"""`penstock doctor`: everything a bug report needs, and nothing that must stay secret."""

from __future__ import annotations

import sys


def test_versions_paths_and_plugins(cli, folder):
    folder.provide("acme-torn", "raise SystemExit('see https://joe:hush@example.org')")
    folder.write(
        "site/acme_torn-1.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: acme-torn\nVersion: 1.0\n"
        "Requires-Dist: pluggy>=1\nRequires-Dist: nowhere-to-be-found; extra == 'x'\n"
        "Requires-Dist: also-not-here>=2\n",
    )
    folder.write("penstock.yaml", "pipes: 3\n")
    done = cli("doctor", "--json")
    assert done.code == 0
    found = done.json
    assert found["versions"]["python"].startswith(sys.version.split()[0])
    assert found["versions"]["penstock"] == "0.1.0"
    assert found["versions"]["pluggy"][0].isdigit()
    assert found["versions"]["also-not-here"] == "not installed"
    assert "nowhere-to-be-found" not in found["versions"]
    assert found["plugins"]["penstock"] == "0.1.0 loaded"
    assert found["plugins"]["acme-torn"] == (
        "1.0 broken: SystemExit: see https://joe:***@example.org"
    )
    assert found["paths"]["pipeline"] == "penstock.yaml"
    assert str(folder.path) in found["paths"]["this folder"]
    assert "not there yet" in found["paths"]["state"]
    assert " GB of " in found["paths"]["free disk"]
    assert found["machine"]["clock"].endswith("Z")


def test_as_text(cli, folder):
    lines = cli("doctor").out.splitlines()
    assert lines[0] == "versions"
    assert {"plugins", "machine", "paths", "environment"} <= set(lines)


def test_the_state_folder(cli, numbers):
    cli("run", "numbers.yaml", "-q")
    assert ", writable" in cli("doctor", "--json").json["paths"]["state"]


def test_secrets_are_masked(cli, folder, monkeypatch):
    monkeypatch.setenv("PENSTOCK_DB_PASSWORD", "hush")
    monkeypatch.setenv("PENSTOCK_URL", "https://joe:hush@example.org/")
    monkeypatch.setenv("UNRELATED", "hush")
    done = cli("doctor", "--json")
    assert done.json["environment"]["PENSTOCK_DB_PASSWORD"] == "***"
    assert done.json["environment"]["PENSTOCK_URL"] == "https://joe:***@example.org/"
    assert "hush" not in done.out


def test_a_standard_output_that_is_not_utf_8_is_pointed_out(folder):
    done = folder.penstock("doctor", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    assert "iso8859-1" in done.out.lower() or "latin-1" in done.out
    assert "not UTF-8: set PYTHONUTF8=1" in done.out
