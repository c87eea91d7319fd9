"""The admin and `manage.py penstock`: who may do what, and nothing of a record is taken for a page."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from newsroom.models import News, Order, Raw
from newsroom.pipes import NewsImport

from penstock_django import PipelineError, get_session
from penstock_django.models import Letter, RunReport

SCRIPT = "<script>alert(1)</script>"
LETTERS = "/admin/penstock_django/letter/"
ERRORS = "/admin/penstock_django/pipelineerror/"
RUNS = "/admin/penstock_django/runreport/"
PAGES = [LETTERS, ERRORS, RUNS, "/admin/penstock_django/pipelinetrack/"]

PIPELINE = """
inputs:
  orders: {use: json, path: orders.jsonl}
outputs:
  shop: {use: django, model: newsroom.Order}
pipes:
  orders: [orders, shop]
"""


@pytest.fixture
def file(db, tmp_path, settings):
    """A pipeline that has run; one of its records was refused."""
    (tmp_path / "orders.jsonl").write_text(
        json.dumps({"code": "a"}) + "\n" + json.dumps({"colour": SCRIPT}) + "\n"
    )
    (tmp_path / "shop.yaml").write_text(PIPELINE)
    with settings(PENSTOCK_STATE=tmp_path / ".penstock"):
        call_command("penstock", "run", str(tmp_path / "shop.yaml"))
        yield tmp_path / "shop.yaml"


def client(*permissions, **options):
    user, _ = User.objects.get_or_create(username="ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    made = Client(**options)
    made.force_login(user)
    return made


def act(made, page, action, rows, **more):
    keys = [str(row.pk) for row in rows]
    return made.post(page, {"action": action, "_selected_action": keys}, follow=True, **more)


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_anything_without_logging_in_and_being_allowed(db, page):
    assert Client().get(page).status_code == 302
    assert Client().post(page, {"action": "try_again"}).status_code == 302
    assert client().get(page).status_code == 403


def test_a_request_from_another_host_or_page_is_refused(file):
    allowed = client("view_letter", "retry_letter", enforce_csrf_checks=True)
    row = Letter.objects.get()
    assert act(allowed, LETTERS, "try_again", [row]).status_code == 403
    assert allowed.get(LETTERS, headers={"host": "evil.example"}).status_code == 400
    assert Letter.objects.get().attempts == 1


def test_nothing_of_a_record_is_taken_for_a_part_of_a_page(file):
    Raw.objects.create(text=SCRIPT)
    NewsImport.broken = (SCRIPT,)
    try:
        get_session(debug=False).run(Raw.objects.all(), "news.import")
    finally:
        NewsImport.broken = ("bad",)
    texts = {"source", "node", "error", "message", "run_id", "plugin", "version", "config_hash"}
    Letter.objects.update(**dict.fromkeys(texts, SCRIPT))
    report = {"nodes": [{"name": SCRIPT, "use": SCRIPT, "failed": 0}], "warnings": [SCRIPT]}
    RunReport.objects.create(run_id="<i>", pipeline=SCRIPT, started=1, report=json.dumps(report))
    views = client("view_letter", "view_pipelineerror", "view_runreport", "mend_letter")
    for page, row in (
        (LETTERS, Letter.objects.get()),
        (ERRORS, PipelineError.objects.get()),
        (RUNS, RunReport.objects.get(pk="<i>")),
    ):
        from django.contrib.admin.utils import quote

        for url in (page, f"{page}{quote(row.pk)}/change/"):
            found = views.get(url)
            assert found.status_code == 200
            assert SCRIPT not in found.content.decode(), url
            assert "&lt;script&gt;" in found.content.decode(), url


def test_who_may_only_look_cannot_retry(file):
    row = Letter.objects.get()
    act(client("view_letter"), LETTERS, "try_again", [row])
    assert Letter.objects.get().attempts == 1
    act(client("view_letter", "retry_letter"), LETTERS, "try_again", [row])
    assert Letter.objects.get().attempts == 2


def test_a_letter_is_mended_and_tried_again(file):
    row = Letter.objects.get()
    url = f"{LETTERS}{row.pk}/change/"
    assert client("view_letter").post(url, {"record": '{"code": "b"}'}).status_code == 403
    mends = client("view_letter", "mend_letter")
    found = mends.post(url, {"record": "{"}, follow=True)
    assert "the record is not JSON" in found.content.decode()
    found = mends.post(url, {"record": '{"code": "b"}'}, follow=True)
    assert "1 mended, 0 failed" in found.content.decode()
    assert sorted(Order.objects.values_list("code", flat=True)) == ["a", "b"]
    assert Letter.objects.count() == 0


def test_letters_are_searched_and_filtered(file):
    views = client("view_letter")
    assert "1 dead letter" in views.get(LETTERS, {"q": "colour"}).content.decode()
    assert "0 dead letters" in views.get(LETTERS, {"q": "nothing"}).content.decode()
    assert "1 dead letter" in views.get(LETTERS, {"pipeline": "shop"}).content.decode()


def test_errors_are_run_again_and_ignored_by_who_may(db):
    Raw.objects.create(text="bad")
    get_session(debug=False).run(Raw.objects.all(), "news.import")
    error = PipelineError.objects.get()
    act(client("view_pipelineerror"), ERRORS, "run_again", [error])
    assert PipelineError.objects.get().attempts == 1
    NewsImport.broken = ()
    try:
        found = act(
            client("view_pipelineerror", "retry_pipelineerror"), ERRORS, "run_again", [error]
        )
    finally:
        NewsImport.broken = ("bad",)
    assert "1 fixed, 0 failed" in found.content.decode()
    assert News.objects.count() == 1
    PipelineError.objects.update(fixed=None)
    act(client("view_pipelineerror", "ignore_pipelineerror"), ERRORS, "ignore", [error])
    assert PipelineError.objects.get().fixed is not None


# ---- manage.py ----------------------------------------------------------------------------------


def test_manage_py_shows_runs_and_fixes_errors(db, capsys):
    Raw.objects.create(text="bad")
    get_session(debug=False).run(Raw.objects.all(), "news.import")
    call_command("penstock", "runs")
    assert "news.import  ok" in capsys.readouterr().out
    call_command("penstock", "errors")
    out = capsys.readouterr().out
    assert "1 × news.import: ValueError: cannot read 'bad'" in out
    assert "1 error is open" in out
    NewsImport.broken = ()
    try:
        call_command("penstock", "errors", "retry")
    finally:
        NewsImport.broken = ("bad",)
    assert "0 errors are open" in capsys.readouterr().out


def test_manage_py_hands_other_words_to_the_command_line(db, capsys):
    call_command("penstock", "describe", "django", "--kind", "output")
    assert "Create or change objects of a Django model" in capsys.readouterr().out


def test_a_letter_of_an_unknown_file_cannot_be_tried_again(file):
    file.unlink()
    found = act(client("view_letter", "retry_letter"), LETTERS, "try_again", [Letter.objects.get()])
    assert "the file of this pipeline is not known here" in found.content.decode()
