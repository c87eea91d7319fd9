"""The admin and `manage.py penstock`: who may do what, and nothing of a record is taken for a page."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import models
from django.test import Client
from newsroom.models import News, Order, Raw
from newsroom.pipes import NewsImport

from penstock_django import PipelineError, PipelineTrack, get_session
from penstock_django.management.commands.penstock import Command
from penstock_django.models import Event, Letter, RunReport

SCRIPT = "<script>alert(1)</script>"
LETTERS = "/admin/penstock_django/letter/"
ERRORS = "/admin/penstock_django/pipelineerror/"
RUNS = "/admin/penstock_django/runreport/"
PAGES = [LETTERS, ERRORS, RUNS, "/admin/penstock_django/pipelinetrack/"]
SHOWN = [Letter, PipelineError, RunReport, PipelineTrack]

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
    Raw.objects.create(text="good")
    NewsImport.broken = (SCRIPT,)
    try:
        get_session(debug=False).run(Raw.objects.all(), "news.import")
    finally:
        NewsImport.broken = ("bad",)
    in_every_field(Letter)
    in_every_field(PipelineError)
    in_every_field(PipelineTrack)
    RunReport.objects.all().delete()
    report = {"nodes": [{"name": SCRIPT, "use": SCRIPT, "failed": 0}], "warnings": [SCRIPT]}
    RunReport.objects.create(run_id="<i>", pipeline=SCRIPT, started=1, report=json.dumps(report))
    views = client(*(f"view_{model._meta.model_name}" for model in SHOWN), "mend_letter")
    for page, model in zip(PAGES, SHOWN, strict=True):
        row = model.objects.order_by("pk").first()
        for url in (page, f"{page}{quote(row.pk)}/change/"):
            found = views.get(url)
            assert found.status_code == 200
            assert SCRIPT not in found.content.decode(), url
            assert "&lt;script&gt;" in found.content.decode(), url


def in_every_field(model):
    """Put the script wherever a row of a model can hold it."""
    values = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.JSONField):
            values[field.name] = [[SCRIPT, [SCRIPT]]]
        elif isinstance(field, models.CharField | models.TextField):
            values[field.name] = json.dumps(SCRIPT) if field.name == "record" else SCRIPT
    assert model.objects.update(**values)


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
    act(client("view_pipelineerror", "retry_pipelineerror"), ERRORS, "ignore", [error])
    assert PipelineError.objects.get().fixed is None
    act(client("view_pipelineerror", "ignore_pipelineerror"), ERRORS, "ignore", [error])
    assert PipelineError.objects.get().fixed is not None


# ---- stories ------------------------------------------------------------------------------------


def rows_of(page):
    """The cells of the table of a story."""
    body = page.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in body.split("</tr>")[:-1]]
    return [[re.sub(r"<.*?>", "", cell) for cell in row] for row in cells]


def test_the_story_of_a_record_goes_on_when_its_letter_is_gone(file):
    row = Letter.objects.get()
    may = client("view_letter", "retry_letter", "mend_letter")
    act(may, LETTERS, "try_again", [row])
    may.post(f"{LETTERS}{row.pk}/change/", {"record": '{"code": "b"}'}, follow=True)
    assert Letter.objects.count() == 0
    told = rows_of(may.get(f"{LETTERS}story/?pipeline=shop&source=orders&ordinal=2"))
    assert [(what, where, who) for _, what, where, _, who, _ in told] == [
        ("set aside", "shop", ""),
        ("tried again", "shop", "ann"),
        ("set aside", "shop", ""),
        ("mended", "shop", "ann"),
        ("came through", "shop", ""),
    ]
    assert len({one[3] for one in told if one[1] in ("set aside", "came through")}) == 3, "runs"


def test_the_story_says_under_which_key_a_record_was_read(file):
    file.write_text(PIPELINE.replace("orders.jsonl}", "orders.jsonl, key: code}"))
    call_command("penstock", "run", str(file), "--fresh")
    page = client("view_letter").get(f"{LETTERS}story/?pipeline=shop&source=orders&ordinal=1")
    assert [(what, text) for _, what, _, _, _, text in rows_of(page)] == [
        ("read", "a"),
        ("set aside", "UNIQUE constraint failed: newsroom_order.code"),
    ]


def test_the_story_of_an_item_is_of_every_pipeline(db):
    Raw.objects.create(text="bad")
    NewsImport.broken = ("bad",)
    get_session(debug=False).run(Raw.objects.all(), "news.import")
    NewsImport.broken = ()
    try:
        PipelineError.objects.get().do_fix_it()
    finally:
        NewsImport.broken = ("bad",)
    error, news = PipelineError.objects.get(), News.objects.get()
    views = client("view_pipelineerror")
    found = rows_of(views.get(f"{ERRORS}story/?type={error.item_type_id}&item={error.item_id}"))
    assert [(one[1], one[2]) for one in found] == [
        ("failed", "news.import"),
        ("processed", "news.import"),
        ("fixed", "news.import"),
    ]
    assert found[1][5] == f"newsroom.News {news.pk}"
    kind = ContentType.objects.get_for_model(News).pk
    made = rows_of(views.get(f"{ERRORS}story/?type={kind}&item={news.pk}"))
    assert [(one[1], one[2]) for one in made] == [
        (f"made of raw {error.item_id}", "news.import"),
        ("processed", "news.link.tags"),
    ]


@pytest.mark.parametrize(
    ("page", "may"),
    [
        (f"{LETTERS}story/?pipeline=p&source=s&ordinal=1", "view_letter"),
        (f"{ERRORS}story/?type=1&item=1", "view_pipelineerror"),
        (f"{RUNS}live/", "view_runreport"),
    ],
)
def test_stories_and_live_runs_are_for_those_who_may_see_them(db, page, may):
    assert Client().get(page).status_code == 302
    assert client().get(page).status_code == 403
    assert client(may).get(page).status_code == 200
    assert client(may).get(page, headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "page",
    [
        f"{LETTERS}story/",
        f"{LETTERS}story/?pipeline=p&source=s&ordinal=x",
        f"{ERRORS}story/?type=999999&item=1",
        f"{ERRORS}story/?type=x&item=1",
    ],
)
def test_there_is_no_story_of_what_is_no_record(db, page):
    assert client("view_letter", "view_pipelineerror").get(page).status_code == 404


def test_a_story_takes_nothing_for_a_part_of_a_page(db):
    names = ["pipeline", "source", "node", "what", "run_id", "text", "who"]
    Event.objects.create(ordinal=1, at=1.0, **dict.fromkeys(names, SCRIPT))
    page = client("view_letter").get(
        f"{LETTERS}story/", {"pipeline": SCRIPT, "source": SCRIPT, "ordinal": 1}
    )
    text = page.content.decode()
    assert SCRIPT not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5


def test_stories_are_forgotten_after_a_while(file):
    Event.objects.update(at=0.0)
    call_command("penstock", "run", str(file))
    assert Event.objects.filter(at=0.0).count() == 0


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


def errors(*words):
    """The code with which `manage.py penstock errors` ends."""
    return Command().run(["errors", *words])


def test_manage_py_lists_shows_and_retries_dead_letters(file, capsys, tmp_path):
    assert errors() == 6
    out = capsys.readouterr().out
    assert "1 × shop: newsroom.Order has no field 'colour' (as orders:2@shop)" in out
    assert "1 dead letter is open" in out
    assert errors("list", "--search", "nothing") == 0
    assert "0 dead letters are open" in capsys.readouterr().out
    errors("show", "orders:2")
    out = capsys.readouterr().out
    assert out.startswith("orders:2@shop\n  pipeline  shop\n  error     newsroom.Order has no")
    assert f'colour: "{SCRIPT}"' in out
    assert "set aside at shop: newsroom.Order has no field 'colour'" in out
    assert errors("retry", "--pipeline", "shop") == 6
    assert "0 mended, 1 failed" in capsys.readouterr().out
    (tmp_path / "mended.jsonl").write_text('{"id": "orders:2@shop", "record": {"code": "b"}}\n')
    assert errors("retry", "orders:2@shop", "--edit-with", str(tmp_path / "mended.jsonl")) == 0
    assert "1 mended, 0 failed" in capsys.readouterr().out
    assert sorted(Order.objects.values_list("code", flat=True)) == ["a", "b"]
    assert Event.objects.filter(what="mended").get().text == '{"code": "b"}'


def test_manage_py_drops_only_the_letters_that_are_named(file, capsys):
    assert errors("drop") == 2
    assert "penstock errors: which dead letters to drop?; name them as" in capsys.readouterr().err
    assert errors("drop", "orders:2") == 0
    assert Letter.objects.count() == 0
    assert Event.objects.last().what == "forgotten"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (None, "cannot be read: No such file or directory; choose another file"),
        ("{", ':1: every line needs an "id" and a "record", as JSON; nothing was changed'),
        ("[1]", ':1: every line needs an "id" and a "record", as JSON; nothing was changed'),
        ('{"id": "a:1", "record": 1}', ":1: no dead letter 'a:1' among those chosen"),
    ],
)
def test_manage_py_refuses_mended_letters_that_it_does_not_understand(
    file, capsys, tmp_path, line, message
):
    given = tmp_path / "mended.jsonl"
    if line is not None:
        given.write_text(line)
    assert errors("retry", "--edit-with", str(given)) == 2
    assert f"{given}" in (told := capsys.readouterr().err)
    assert message in told
    assert errors("retry", "orders:9") == 2
    assert "penstock errors: no dead letter 'orders:9'" in capsys.readouterr().err
    assert Letter.objects.get().attempts == 1


def test_manage_py_runs_on_another_engine(file, capsys):
    assert Command().run(["run", str(file), "--fresh", "--engine", "threads"]) == 6
    assert json.loads(RunReport.objects.first().report)["engine"] == "threads"


STORY = f"{LETTERS}story/?pipeline=shop&source=orders&ordinal="


def replayed(page):
    table = page.content.decode().partition('id="penstock-replayed"')[2]
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in body.split("</tr>")[:-1]]
    return [[html.unescape(re.sub(r"<.*?>", "", cell)) for cell in row] for row in cells]


def test_a_record_is_replayed_and_nothing_is_written(file):
    stage = "transformers:\n  loud: {use: 'newsroom.loud:loud'}\npipes:"
    changed = PIPELINE.replace("pipes:", stage).replace("[orders, shop]", "[orders, loud, shop]")
    file.write_text(changed)
    may = client("view_letter", "retry_letter")
    before = list(Order.objects.values()), Letter.objects.count(), RunReport.objects.count()
    assert 'id="penstock-replay"' in may.get(f"{STORY}1").content.decode()
    assert replayed(may.post(f"{STORY}1")) == [
        ["orders", '{"code": "a"}', ""],
        ["loud", '{"code": "A"}', ""],
        ["shop", '{"code": "A"}', "would be written"],
    ]
    assert replayed(may.post(f"{STORY}2")) == [
        ["orders", json.dumps({"colour": SCRIPT}), ""],
        ["loud", "", "failed: KeyError: 'code'"],
    ]
    after = list(Order.objects.values()), Letter.objects.count(), RunReport.objects.count()
    assert after == before


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"{STORY}9", "orders: no record orders:9; the last one is orders:2"),
        (STORY.replace("orders&", "nobody&") + "1", "no input named 'nobody'; there are orders"),
        (STORY.replace("shop&", "other&") + "1", "the file of this pipeline is not known here"),
    ],
)
def test_a_record_that_cannot_be_replayed_is_said(file, address, said):
    page = client("view_letter", "retry_letter").post(address)
    assert said in html.unescape(page.content.decode())


def test_a_page_waits_for_no_long_reading(file, monkeypatch):
    monkeypatch.setattr("penstock_django.replaying.PATIENCE", -1.0)
    page = client("view_letter", "retry_letter").post(f"{STORY}2")
    assert "manage.py penstock why shop.yaml --record orders:2" in page.content.decode()


def test_who_may_only_look_replays_nothing(file):
    assert 'id="penstock-replay"' not in client("view_letter").get(f"{STORY}1").content.decode()
    assert client("view_letter").post(f"{STORY}1").status_code == 403
    assert client("retry_letter").post(f"{STORY}1").status_code == 403
    assert Client().post(f"{STORY}1").status_code == 302
    strict = client("view_letter", "retry_letter", enforce_csrf_checks=True)
    assert strict.post(f"{STORY}1").status_code == 403
