"""What a pipe can do and what becomes of it: rows D1 to D20 of what the old system did."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from newsroom.models import Keyed, News, Raw, ResultItem, SourceItem
from newsroom.pipes import Save, Step

from penstock import UsageError
from penstock_django import (
    Pipe,
    PipeError,
    PipelineError,
    PipelineTrack,
    get_session,
    pipeline,
)
from penstock_django.registry import Registry, registry


def sources(*numbers):
    return [SourceItem.objects.create(number=number) for number in numbers]


def numbers():
    return [round(one.number, 6) for one in ResultItem.objects.order_by("pk")]


def step(do=None, items=None, **options):
    """Run `Step` over the numbers 1 to 10, or other items."""
    session = get_session(
        debug=False, context={"do": do or {}, "asks": options.pop("asks", False)}, **options
    )
    session.run(SourceItem.objects.order_by("pk") if items is None else items, "step")
    return session


def raising(error):
    def act(pipe):
        raise error

    return act


# ---- D1 to D8: apps, pipes, registration, sessions ----------------------------------------------


def test_D01_it_is_an_app_whose_migrations_are_complete_on_every_database(place):
    call_command("makemigrations", "penstock_django", check=True, dry_run=True, verbosity=0)
    call_command("check", fail_level="WARNING", verbosity=0)


def test_D02_pipes_of_every_app_are_found(db):
    fresh = Registry()
    fresh.discover()
    assert registry.find("discount_sum")[1] is Save


def test_D02_a_module_that_cannot_be_imported_is_told_each_time(db, monkeypatch):
    def broken(name):
        raise ImportError(f"{name} is broken")

    monkeypatch.setattr("django.utils.module_loading.autodiscover_modules", broken)
    found = Registry()
    for _ in range(2):
        with pytest.raises(ImportError, match="pipes is broken"):
            found.discover()


def test_D03_a_pipe_prepares_processes_and_finishes(db):
    said = []

    class Said(Pipe):
        def prepare(self, items):
            said.append(("prepare", list(items)))
            return super().prepare(items)

        def process(self):
            said.append(("process", self.item))
            return super().process()

        def finish(self, results):
            said.append(("finish", results))
            return super().finish(results)

    get_session().run([1, 2], pipe=Said)
    expected = [("prepare", [1, 2]), ("process", 1), ("process", 2), ("finish", [1, 2])]
    assert said == expected


def test_D04_a_name_without_a_dot_ends_in_default(db):
    assert registry.find("discount_sum")[0] == "discount_sum.default"
    assert registry.find("news.import")[0] == "news.import"


def test_D05_pipes_work_in_the_order_of_inheritance(db):
    said = []

    def saying(name, *bases):
        def process(self):
            item = super(made, self).process()
            said.append(name)
            return item

        made = type(name, bases or (Pipe,), {"process": process})
        return made

    first = saying("first")
    left, right = saying("left", first), saying("right", first)
    get_session().run([1], pipe=saying("last", left, right))
    assert said == ["first", "right", "left", "last"]


def test_D06_pipes_of_one_name_are_combined_by_their_sequence(db):
    fresh, said = Registry(), []

    def adding(name, sequence):
        def process(self):
            item = super(made, self).process()
            said.append(name)
            return item

        made = type(name, (Pipe,), {"process": process})
        fresh.add("both", made, sequence, [])

    adding("b", 2), adding("a", 1), adding("c", 2)
    get_session().run([1], pipe=fresh.find("both")[1])
    assert said == ["a", "b", "c"]


def test_D07_a_session_has_options(db, settings):
    assert get_session().debug is False
    with settings(DEBUG=True):
        assert get_session().debug is True
    session = get_session(context={"a": 1}, debug=True, chunksize=3, direct_save=True, atomic=False)
    assert (session.context.a, session.options["chunksize"]) == (1, 3)
    with pytest.raises(UsageError, match="chunksize must be at least 1, got 0"):
        get_session(chunksize=0)


def test_D07_objects_and_what_is_noted_of_them_are_in_one_database(db, settings):
    with pytest.raises(UsageError) as caught:
        get_session(using="archive")
    assert str(caught.value) == (
        "get_session: the database 'archive' has not the tables of penstock_django, which are in "
        "'default'; leave using out, or have a database router put both into one"
    )

    class Archive:
        def db_for_write(self, model, **_):
            return "archive" if model._meta.app_label == "penstock_django" else None

    with settings(DATABASE_ROUTERS=[Archive()]):
        assert get_session(using="archive").using == "archive"
        with pytest.raises(UsageError, match="'default' has not the tables"):
            get_session()


def test_D07_a_session_may_do_what_another_pipeline_triggers(db):
    items = [Raw.objects.create(text="a")]
    get_session(trigger_from_name="by.hand").run(items, "news.import")
    assert PipelineTrack.objects.get(pipeline_name="news.import").trigger_from_name == "by.hand"


@pytest.mark.parametrize("kind", ["queryset", "list", "tuple", "one"])
def test_D08_items_and_name_come_in_any_order(db, kind):
    items = sources(1)
    given = {
        "queryset": SourceItem.objects.all(),
        "list": items,
        "tuple": tuple(items),
        "one": items[0],
    }[kind]
    get_session(debug=True).run(given, "discount_sum")
    get_session(debug=True).run("discount_sum", given)
    assert numbers() == [1]


@pytest.mark.parametrize("given", [("a word", "echo"), ("echo", "a word"), ("echo", "echo")])
def test_D08_a_text_is_an_item_too(db, given):
    pipeline("echo")(Pipe)
    session = get_session()
    session.run(*given)
    assert session.results == ["echo" if given == ("echo", "echo") else "a word"]


def test_D08_the_items_may_name_their_pipeline(db):
    get_session(debug=True).run(Raw.objects.create(text="a b"))
    assert News.objects.get().title == "a b"
    with pytest.raises(UsageError, match=r"Session.run: which pipeline\?; name it"):
        get_session().run([1])


def test_D08_nothing_is_run_over_nothing(db):
    assert get_session().run([], "discount_sum") is None
    assert get_session().run(SourceItem.objects.all(), "discount_sum") is None


@pytest.mark.parametrize(
    ("written", "meant"), [("discount_sun", "discount_sum.default"), ("stepp", "step.default")]
)
def test_D08_an_unknown_name_is_refused_with_the_nearest(db, written, meant):
    with pytest.raises(UsageError) as caught:
        get_session().run([1], written)
    assert f"no pipeline named {written!r}; did you mean {meant!r}?" in str(caught.value)


# ---- D10 to D16: the flow -----------------------------------------------------------------------


def test_D10_prepare_may_filter(db):
    class Odd(Pipe):
        def prepare(self, items):
            return [item for item in super().prepare(items) if item % 2]

    session = get_session()
    session.run(range(1, 6), pipe=Odd)
    assert session.results == [1, 3, 5]


def test_D11_each_item_has_a_pipe_of_its_own(db):
    pipes = []

    class Kept(Pipe):
        def process(self):
            pipes.append(self)
            return super().process()

    get_session().run([1, 2], pipe=Kept)
    assert [pipe.item for pipe in pipes] == [1, 2]
    assert pipes[0] is not pipes[1]


def test_D12_finish_gets_what_is_not_none(db):
    got = []

    class Some(Pipe):
        def process(self):
            return self.item or None

        def finish(self, results):
            got.extend(results)

    get_session().run([0, 1, 2], pipe=Some)
    assert got == [1, 2]


TABLE = {
    "continue": ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0),
    "ignore": ([1, 2, 4, 5, 6, 7, 8, 9, 10], 0),
    "break": ([1, 2], 0),
    "error": ([], 0),
    "plain": ([1, 2, 4, 5, 6, 7, 8, 9, 10], 1),
}
ACTS = {
    "continue": lambda pipe: pipe._continue(),
    "ignore": lambda pipe: pipe.ignore("no"),
    "break": lambda pipe: pipe._break(),
    "error": raising(PipeError("stop")),
    "plain": raising(ValueError("no")),
}


@pytest.mark.parametrize("chunksize", [2000, 3, 2], ids=["one chunk", "its last", "the next one"])
@pytest.mark.parametrize("asks", [False, True], ids=["only results", "with queries"])
@pytest.mark.parametrize("act", ACTS)
def test_D17_with_item_3_of_10_the_rows_are_those_that_the_document_says(
    place, act, asks, chunksize
):
    """D13 to D16 and D18 as well: a savepoint for each item, whether it writes itself or not, and
    wherever it stands in its chunk."""
    sources(*range(1, 11))
    expected, errors = TABLE[act]
    if act == "error":
        with pytest.raises(PipeError, match="stop"):
            step({3: ACTS[act]}, asks=asks, chunksize=chunksize)
    else:
        step({3: ACTS[act]}, asks=asks, chunksize=chunksize)
    assert numbers() == expected
    assert [int(raw.text) for raw in Raw.objects.order_by("pk")] == (expected if asks else [])
    assert PipelineError.objects.count() == errors
    assert PipelineTrack.objects.count() == len(expected)


def test_D13_the_value_of_a_continued_item_is_its_result(db):
    session = step({1: lambda pipe: pipe._continue("done")}, [1, 2])
    assert session.results == ["done", 2]
    session = step({1: lambda pipe: pipe._continue(ignore=True)}, [1, 2])
    assert session.results == [2]


def test_D14_what_is_ignored_is_told(db, caplog):
    with caplog.at_level("INFO", "pipeline"):
        step({1: lambda pipe: pipe.ignore("too old")}, [1])
    assert "step.default ignores 1: too old" in caplog.text


def test_D15_after_a_break_no_item_is_processed(db):
    session = step({2: lambda pipe: pipe._break()}, list(range(1, 9)), chunksize=3)
    assert session.results == [1]


def test_D16_a_pipe_error_rolls_back_what_it_depends_on_too(db):
    @pipeline("before.all")
    class Before(Pipe):
        def process(self):
            self.add_to_save(ResultItem(number=self.item))

    class After(Pipe):
        depends = ["before.all"]

        def process(self):
            raise PipeError

    with pytest.raises(PipeError):
        get_session().run([1, 2], pipe=After)
    assert numbers() == []


def test_D17_a_swallowed_error_of_the_database_does_not_poison_the_others(place):
    from django.db import IntegrityError

    def swallowing(pipe):
        News.objects.create(title="same")
        try:
            News.objects.create(title="same")
        except IntegrityError:
            pass

    sources(1, 2, 3)
    step({2: swallowing})
    assert numbers()[0] == 1
    assert numbers()[-1] == 3


def test_D17_what_cannot_be_saved_costs_only_its_own_item(place):
    News.objects.create(title="b")
    for text in ("a", "b", "c"):
        Raw.objects.create(text=text)
    get_session(debug=False).run(Raw.objects.order_by("pk"), "news.import")
    assert sorted(News.objects.values_list("title", flat=True)) == ["a", "b", "c"]
    error = PipelineError.objects.get()
    assert (error.item.text, error.error_type) == ("b", "IntegrityError")


def test_D17_an_item_whose_result_is_refused_takes_back_what_it_asked_for(place):
    class Marks(Pipe):
        def process(self):
            item = super().process()
            Raw.objects.filter(pk=item.pk).update(done=True)
            self.add_to_save(News(title=item.text))
            return item

    for text in ("a", "b", "b", "c"):
        Raw.objects.create(text=text)
    session = get_session(debug=False)
    session.run(Raw.objects.order_by("pk"), pipe=Marks)
    assert [item.text for item in session.results] == ["a", "b", "c"]
    assert list(Raw.objects.order_by("pk").values_list("done", flat=True)) == [
        True,
        True,
        False,
        True,
    ]
    assert News.objects.count() == 3
    assert PipelineError.objects.get().error_type == "IntegrityError"


def test_D17_what_a_failed_item_wanted_after_the_commit_is_not_done(place):
    from django.db import transaction

    said = []

    def later(pipe):
        transaction.on_commit(lambda: said.append(pipe.item))
        if pipe.item == 2:
            raise ValueError

    step({1: later, 2: later}, [1, 2])
    assert said == [1]


# ---- D18 to D20: errors -------------------------------------------------------------------------


def test_D18_an_error_is_a_row_and_the_next_item_goes_on(place):
    secret = "sesame-in-a-setting"

    def bad(pipe):
        hidden_local = "local-value"
        raise ValueError(f"<script>{secret}</script>", len(hidden_local))

    items = sources(1, 2, 3)
    session = step({2: bad})
    assert [item.number for item in session.results] == [1, 3]
    error = PipelineError.objects.get()
    assert (error.pipeline_name, error.item, error.item_repr) == (
        "step.default",
        items[1],
        "<SourceItem: source 2>",
    )
    assert error.error_type == "ValueError"
    assert error.detail == {"args": ["'<script>***</script>'", "11"]}
    assert 'raise ValueError(f"<script>{secret}</script>"' in error.stack
    assert "&lt;script&gt;***" in error.html
    for text in (error.stack, error.html, error.message, error.item_repr):
        assert secret not in text
        assert "local-value" not in text.replace('hidden_local = "local-value"', "")
        assert "penstock_django" not in text
    assert "<script>" not in error.html
    assert len(error.stack_hash) == 64


def test_D18_the_revision_is_noted(db, tmp_path, monkeypatch):
    from penstock_django.failing import revision

    (tmp_path / ".git" / "refs").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/main\n")
    (tmp_path / ".git" / "refs" / "main").write_text("abc123\n")
    monkeypatch.chdir(tmp_path)
    revision.cache_clear()
    try:
        step({1: ACTS["plain"]}, [1])
    finally:
        revision.cache_clear()
    assert PipelineError.objects.get().revision == "abc123"


def test_D19_errors_of_the_same_place_are_grouped_fixed_and_redone(place):
    items = [Raw.objects.create(text=text) for text in ("one", "bad", "bad")]
    Raw.objects.filter(pk=items[2].pk).update(text="worse")
    from newsroom.pipes import NewsImport

    NewsImport.broken = ("bad", "worse")
    try:
        get_session(debug=False).run(Raw.objects.order_by("pk"), "news.import")
    finally:
        NewsImport.broken = ()
    try:
        first, second = PipelineError.objects.order_by("pk")
        assert list(first.same_errors.order_by("pk")) == [first, second]
        assert [item.text for item in first.same_error_items] == ["bad", "worse"]
        first.do_fix_it()
        assert PipelineError.objects.filter(fixed=None).count() == 0
        assert News.objects.count() == 3
    finally:
        NewsImport.broken = ("bad",)


def test_D19_an_error_that_happens_again_stays_one_row(db):
    Raw.objects.create(text="bad")
    for _ in range(3):
        get_session(debug=False).run(Raw.objects.all(), "news.import")
    assert PipelineError.objects.get().attempts == 3


def test_D19_ignored_errors_count_as_fixed(db):
    for text in ("bad", "good"):
        Raw.objects.create(text=text)
    get_session(debug=False).run(Raw.objects.all(), "news.import")
    assert PipelineError.objects.get().ignore() == 1
    assert PipelineError.objects.get().fixed is not None


@pytest.mark.parametrize(("atomic", "kept"), [(True, []), (False, [1, 2])])
def test_D20_debug_raises_the_first_error(place, atomic, kept):
    session = get_session(debug=True, atomic=atomic, context={"do": {3: ACTS["plain"]}})
    with pytest.raises(ValueError, match="no"):
        session.run([1, 2, 3, 4], "step")
    assert numbers() == kept
    assert PipelineError.objects.count() == 0


def test_the_documents_example_gives_its_numbers(place):
    sources(1, 2, 3)
    get_session(debug=True).run("discount_sum", SourceItem.objects.order_by("pk"))
    assert numbers() == [1, 2.99, 5.9601]


def test_a_uuid_is_a_key_as_any_other(place):
    items = [Keyed.objects.create(number=n) for n in (1, 2)]
    for _ in range(2):
        session = get_session(context={"do": {2: ACTS["plain"]}})
        session.debug = False

        class Of(Step):
            def process(self):
                keyed, self.item = self.item, self.item.number
                super().process()
                return keyed

        session.run(items, pipe=Of)
    assert numbers() == [1]
    assert PipelineError.objects.get().item == items[1]
