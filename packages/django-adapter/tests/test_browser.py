"""The pages as a person has them, in a real browser.

The pictures in docs/images are made by these tests:
PENSTOCK_PICTURES=docs/images pytest packages/django-adapter/tests/test_browser.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import PICTURES, Chromium, serving
from django.contrib.auth.models import Permission, User
from newsroom.models import Order, Raw
from newsroom.pipes import NewsImport

from penstock_django import get_session
from penstock_django.models import Event, Letter, RunReport

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs"
PAGE = DOCS / "how-to" / "watch-runs-in-the-admin.md"
SCRIPT = "<script>alert(1)</script>"
RUNS = "/admin/penstock_django/runreport/"
LETTERS = "/admin/penstock_django/letter/"

PIPELINE = """
inputs:
  orders: {use: django, model: newsroom.Raw, fields: [text], batch_size: 1}
transformers:
  check: {use: "waiting:wait"}
outputs:
  shop: {use: django, model: newsroom.Order}
pipes:
  orders: [orders, check, shop]
"""
WAITS = '''
import json
import time
from pathlib import Path

def wait(record):
    """The order that stands in the text; at order d, wait until the file `go` is there."""
    record = json.loads(record["text"])
    deadline = time.monotonic() + 60
    while record.get("code") == "d" and not Path(__file__).with_name("go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
    return record
'''

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def chromium():
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def url(place, chromium):
    with serving() as found:
        yield found
        chromium.chrome.get("about:blank")  # the page before would go on asking


@pytest.fixture
def shop(tmp_path):
    """A pipeline file; its orders are made by `orders`."""
    (tmp_path / "shop.yaml").write_text(PIPELINE)
    (tmp_path / "waiting.py").write_text(WAITS)
    return tmp_path


def orders(*records):
    Raw.objects.bulk_create(Raw(text=json.dumps(one)) for one in records)


def manage(folder, *words):
    """`manage.py` in a process of its own."""
    path = os.pathsep.join([str(HERE), str(folder)])
    return subprocess.Popen(
        [sys.executable, "-m", "django", *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def run_to_its_end(folder):
    """A run that leaves dead letters."""
    run = manage(folder, "penstock", "run", str(folder / "shop.yaml"))
    _, told = run.communicate(timeout=60)
    assert run.returncode == 6, told.decode()


def person(*permissions):
    user = User.objects.create_user("ann", password="let ann in", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))


def until(fits, seconds=30):
    deadline = time.monotonic() + seconds
    while not fits():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def nodes(chromium):
    """The table of the nodes of the run that is under way: in, out and failed by name."""
    read = (
        "return [...document.querySelectorAll('#penstock-live tr')].map("
        "row => [...row.children].map(cell => cell.textContent))"
    )
    return {row[0]: (row[2], row[3], row[5]) for row in chromium.chrome.execute_script(read)[1:]}


def test_a_script_that_runs_would_be_noticed(chromium):
    from selenium.common.exceptions import UnexpectedAlertPresentException

    chromium.chrome.get(f"data:text/html,{SCRIPT}")
    with pytest.raises(UnexpectedAlertPresentException, match="Alert Text: 1"):
        _ = chromium.text


@pytest.mark.parametrize(("required", "outcome"), [("1", "fail"), ("", "skip")])
def test_without_a_browser_the_pages_are_left_out_unless_it_is_required(
    monkeypatch, required, outcome
):
    monkeypatch.setenv("REQUIRE_SERVICES", required)
    monkeypatch.setenv("PATH", "")
    kinds = {"fail": pytest.fail.Exception, "skip": pytest.skip.Exception}
    with pytest.raises(kinds[outcome], match=r"Chromium.* is not installed"):
        Chromium()


def test_a_run_is_watched_while_it_goes_on(chromium, url, shop):
    person("view_runreport")
    orders({"code": "a"}, {"colour": SCRIPT}, {"code": "c"}, {"code": "d"}, {"code": "e"})
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}{RUNS}")
    assert "0 runs" in chromium.text
    run = manage(shop, "penstock", "run", str(shop / "shop.yaml"))
    try:
        until(lambda: nodes(chromium).get("check", [""])[0] == "4")
        assert nodes(chromium)["shop"] == ("3", "2", "1"), "in, out, failed"
        assert re.search(r"shop: 4 read, \d+ s", chromium.text)
        chromium.picture("admin-run-under-way.png")
        chromium.go("#penstock-live a")
        until(lambda: nodes(chromium).get("check", [""])[0] == "4")
        (shop / "go").touch()
        _, told = run.communicate(timeout=60)
        assert run.returncode == 6, told.decode()
        until(lambda: "letters" in chromium.text)  # the page has loaded itself again
    finally:
        run.kill()
        run.communicate()
    assert "newsroom.Order has no field 'colour'" in chromium.text
    chromium.picture("admin-run.png")
    assert Order.objects.count() == 4


def test_a_dead_letter_with_scripts_is_found_mended_and_tried_again(chromium, url, shop):
    person("view_letter", "retry_letter", "mend_letter")
    orders({"code": "a"}, {"code": "b", "colour": SCRIPT}, {"flavour": "sweet"})
    run_to_its_end(shop)
    shown = ["error", "message", "plugin", "version", "config_hash", "run_id"]
    letters = Letter.objects.filter(ordinal=2)
    kept = letters.values(*shown).get()
    letters.update(**{name: f"{kept[name]} {SCRIPT}" for name in shown})
    events = list(Event.objects.all())
    Event.objects.update(text=SCRIPT, who=SCRIPT, run_id=SCRIPT)
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}{LETTERS}")
    chromium.fill("q", "colour")
    chromium.go("#changelist-search input[type=submit]")
    rows = "return document.querySelectorAll('#result_list tbody tr').length"
    assert chromium.chrome.execute_script(rows) == 1
    assert SCRIPT in chromium.text, "a person reads what stands there"
    letters.update(**kept)
    Event.objects.bulk_update(events, ["text", "who", "run_id"])
    chromium.chrome.get(f"{url}{LETTERS}")
    chromium.picture("admin-dead-letters.png")
    chromium.go("#result_list tbody th a")
    assert SCRIPT in chromium.find("[name=record]").get_attribute("value")
    chromium.fill("record", '{"code": "b"}')
    chromium.picture("admin-mend.png")
    chromium.go("input[name=_save]")
    assert "1 mended, 0 failed" in chromium.text
    assert sorted(Order.objects.values_list("code", flat=True)) == ["a", "b"]
    chromium.chrome.get(f"{url}{LETTERS}story/?pipeline=shop&source=orders&ordinal=2")
    for told in ("set aside", "mended", "came through", "ann"):
        assert told in chromium.text
    chromium.go("#penstock-replay")
    replayed = chromium.find("#penstock-replayed").text
    assert SCRIPT in replayed, "it is read again as it stands in its source"
    assert "would be written" in replayed
    chromium.picture("admin-story.png")
    assert sorted(Order.objects.values_list("code", flat=True)) == ["a", "b"]


def test_a_story_full_of_scripts_runs_none(chromium, url):
    person("view_letter")
    names = ["pipeline", "source", "node", "what", "run_id", "text", "who"]
    Event.objects.create(ordinal=1, at=1.0, **dict.fromkeys(names, SCRIPT))
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}{LETTERS}story/?pipeline={SCRIPT}&source={SCRIPT}&ordinal=1")
    assert chromium.text.count(SCRIPT) >= 5


def test_a_run_whose_names_are_scripts_runs_none(chromium, url):
    person("view_runreport")
    node = {"name": SCRIPT, "use": SCRIPT, "received": SCRIPT, "failed": 0, "rate": 1.0}
    report = {
        "run_id": SCRIPT,
        "pipeline": SCRIPT,
        "started": 1.0,
        "seconds": 2.0,
        "nodes": [node],
        "balance": {"read": 1},
    }
    RunReport.objects.create(
        run_id=SCRIPT,
        pipeline=SCRIPT,
        status="running",
        started=1.0,
        report=json.dumps(report),
        holder="elsewhere",
        told=time.time(),
    )
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}{RUNS}")
    until(lambda: SCRIPT in nodes(chromium))
    chromium.go("#penstock-live a")
    until(lambda: SCRIPT in nodes(chromium))
    assert chromium.text.count(SCRIPT) >= 4


def test_a_form_with_a_wrong_token_changes_nothing(chromium, url, shop):
    person("view_letter", "mend_letter")
    orders({"colour": "red"})
    run_to_its_end(shop)
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}{LETTERS}{Letter.objects.get().pk}/change/")
    chromium.chrome.execute_script(
        "for (const one of document.querySelectorAll('[name=csrfmiddlewaretoken]'))"
        "one.value = 'x'.repeat(64)"
    )
    chromium.fill("record", '{"code": "b"}')
    chromium.go("input[name=_save]")
    assert "CSRF" in chromium.text
    assert (Letter.objects.count(), Order.objects.count()) == (1, 0)


def test_who_has_not_logged_in_sees_the_form_to_do_so(chromium, url):
    chromium.chrome.delete_all_cookies()
    for page in (RUNS, LETTERS, f"{RUNS}live/", f"{LETTERS}story/?pipeline=p&source=s&ordinal=1"):
        chromium.chrome.get(f"{url}{page}")
        assert "Username:" in chromium.text, page


def test_errors_of_items_are_run_again_by_hand(chromium, url):
    person("view_pipelineerror", "retry_pipelineerror")
    Raw.objects.create(text="bad")
    get_session(debug=False).run(Raw.objects.all(), "news.import")
    chromium.log_in(url, "ann", "let ann in")
    chromium.chrome.get(f"{url}/admin/penstock_django/pipelineerror/")
    chromium.picture("admin-errors.png")
    chromium.find("input.action-select").click()
    chromium.find("select[name=action] option[value=run_again]").click()
    NewsImport.broken = ()
    try:
        chromium.go("button[name=index]")
        assert "1 fixed, 0 failed" in chromium.text
    finally:
        NewsImport.broken = ("bad",)


def test_the_page_shows_pictures_that_are_there_and_says_how_they_are_made():
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(\.\./images/([\w-]+\.png)\)", text)
    assert shown
    made = set(re.findall(r'picture\("([\w-]+\.png)"\)', Path(__file__).read_text("utf-8")))
    there = {path.name: path for path in (DOCS / "images").glob("admin-*.png")}
    assert set(shown) == made == set(there)
    assert all(path.stat().st_size < 100_000 for path in there.values())
    assert f"{PICTURES}=docs/images pytest packages/django-adapter/tests/test_browser.py" in text
