"""What items give: saved, tracked, replaced, shared and shown. Rows D9 and D21 to D38."""

from __future__ import annotations

import json
import sys

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test.utils import CaptureQueriesContext
from newsroom.models import Branch, City, News, Place, Raw, ResultItem, SourceItem, Tag
from newsroom.pipes import NewsImport, NewsTags, Step

from penstock import PluginError, UsageError
from penstock_django import Pipe, PipelineError, PipelineTrack, get_session
from penstock_django.models import RunReport
from penstock_django.registry import Registry


class Saves(Pipe):
    """Gives a result for each number."""

    def process(self):
        item = super().process()
        self.add_to_save(ResultItem(number=getattr(item, "number", item)))
        return item


def raws(*texts):
    return [Raw.objects.create(text=text) for text in texts]


def load(*items, **options):
    get_session(**{"debug": False, **options}).run(
        items or Raw.objects.order_by("pk"), "news.import"
    )


def titles():
    return sorted(News.objects.values_list("title", flat=True))


def words():
    return sorted(Tag.objects.values_list("word", flat=True))


@pytest.fixture
def broken():
    """Lets pipes fail for some texts, for one test."""
    before = NewsImport.broken, NewsTags.broken

    def broken(imports=(), tags=()):
        NewsImport.broken, NewsTags.broken = imports, tags

    yield broken
    NewsImport.broken, NewsTags.broken = before


# ---- D9: the seam to Celery ---------------------------------------------------------------------


def test_D09_running_elsewhere_is_handed_on_with_everything_it_needs(db, settings, monkeypatch):
    given = []
    module = type(sys)("elsewhere")
    module.run = lambda *arguments: given.append(arguments)
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    items = raws("a")
    session = get_session(debug=False, chunksize=5)
    with settings(PENSTOCK_RUN_IN_CELERY="elsewhere.run"):
        session.run_in_celery(items, "news.import", celery_chunksize=3, queue="q")
        session.run_in_celery("news.import", items, queue="q")
    expected = {"debug": False, "chunksize": 5, "direct_save": False, "atomic": True}
    expected["trigger_from_name"] = None
    runs = [options.pop("batch") for options, *_ in given]
    assert given == [
        (expected, items, "news.import", 3, "q"),
        (expected, items, "news.import", 10, "q"),
    ]
    assert set(runs) == set(RunReport.objects.values_list("run_id", flat=True))
    with settings(PENSTOCK_RUN_IN_CELERY="nowhere.run"), pytest.raises(PluginError) as caught:
        session.run_in_celery(items, "news.import")
    assert "items cannot be run in Celery" in str(caught.value)
    assert "pip install penstock-engine-celery" in str(caught.value)


# ---- D21: the buffer ----------------------------------------------------------------------------


def test_D21_results_are_saved_many_at_once(place):
    with CaptureQueriesContext(connection) as asked:
        get_session(debug=False).run(list(range(500)), pipe=Saves)
    assert ResultItem.objects.count() == 500
    inserts = [one for one in asked.captured_queries if "newsroom_resultitem" in one["sql"]]
    assert len(inserts) <= 2
    assert len([one for one in asked.captured_queries if one["sql"].startswith("SAVEPOINT")]) <= 5


def test_D21_a_full_buffer_is_saved(db):
    seen = []

    class Looks(Saves):
        def process(self):
            item = super().process()
            if item == 5:
                seen.append(ResultItem.objects.count())
            return item

    get_session(debug=False).run([1, 2, 3, 4, 5, 6], pipe=Looks)
    assert seen == [4], "an item that asks sees what those before it gave"


def test_D21_one_object_or_the_tuple_comes_back(db):
    class Both(Pipe):
        def process(self):
            one, two = ResultItem(number=1), ResultItem(number=2)
            assert self.add_to_save(one) is one
            assert self.add_to_save(one, two) == (one, two)
            assert self.add_to_save(one, return_list=True) == (one,)
            return True

    session = get_session(debug=True)
    session.run([1], pipe=Both)
    assert session.results == [True]


@pytest.mark.parametrize("how", ["argument", "session", "class"])
def test_D21_saved_directly_an_object_has_its_key(place, how):
    class Direct(Pipe):
        force_direct_save = how == "class"

        def process(self):
            more = {"direct_save": True} if how == "argument" else {}
            assert self.add_to_save(ResultItem(number=1), **more).pk is not None
            return self.item

    item = SourceItem.objects.create(number=1)
    get_session(debug=True, direct_save=how == "session").run(item, pipe=Direct)
    assert len(PipelineTrack.objects.get().created) == 1


def test_D21_objects_that_refer_to_others_are_saved_behind_them(place):
    class Linked(Pipe):
        def process(self):
            news = self.add_to_save(News(title=str(self.item)))
            self.add_to_save(Tag(news=news, word="a"), Tag(news=news, word="b"))

    News.objects.create(title="2")  # so that saving all at once fails first
    get_session(debug=False).run([1, 2, 3], pipe=Linked)
    found = Tag.objects.order_by("pk").values_list("news__title", "word")
    assert list(found) == [("1", "a"), ("1", "b"), ("3", "a"), ("3", "b")]


# ---- D22 to D24: tracks and reparse -------------------------------------------------------------


def test_D22_a_track_says_what_an_item_gave(place):
    (raw,) = raws("a b")
    load()
    track, of_tags = PipelineTrack.objects.order_by("pk")
    news = News.objects.get()
    assert (track.pipeline_name, track.item, track.result) == ("news.import", raw, news)
    assert track.created_info == [["newsroom.News", [news.pk]]]
    assert of_tags.trigger_from_name == "news.import"
    assert of_tags.created_info == [
        ["newsroom.Tag", list(Tag.objects.values_list("pk", flat=True))]
    ]


def test_D23_what_an_item_gave_before_is_replaced(place):
    (raw,) = raws("old text")
    load()
    Raw.objects.update(text="new")
    load()
    assert (titles(), words()) == (["new"], ["new"])
    assert PipelineTrack.objects.count() == 2
    assert raw.pk == PipelineTrack.objects.earliest("pk").item.pk


def test_D23_reparse_can_be_switched_off(db):
    item = SourceItem.objects.create(number=1)

    class Adds(Saves):
        _enable_reparse = False

    for _ in range(2):
        get_session(debug=True).run(item, pipe=Adds)
    assert ResultItem.objects.count() == 2


def test_D24_an_item_that_fails_now_keeps_its_old_result(place, broken):
    raws("one", "two")
    load()
    broken(imports=("two",))
    load()
    assert (titles(), words()) == (["one", "two"], ["one", "two"])
    assert PipelineTrack.objects.count() == 4


def test_D24_items_behind_a_break_keep_their_old_results(place):
    items = [SourceItem.objects.create(number=n) for n in (1, 2, 3)]
    context = {"do": {}}
    get_session(debug=False, context=context).run(items, "step")
    context["do"][2] = lambda pipe: pipe._break()
    get_session(debug=False, context=context).run(items, "step")
    assert sorted(ResultItem.objects.values_list("number", flat=True)) == [1, 2, 3]


# ---- D25 to D28: where things are put -----------------------------------------------------------


def test_D25_D26_D27_what_is_put_on_a_pipe_lives_as_long_as_it_says(db):
    seen = []

    class Counts(Pipe):
        def process(self):
            seen.append((hasattr(self, "mine"), dict(self.local), dict(self.context)))
            self.mine = self.local.n = self.context.n = self.item
            return self.item

    session = get_session(debug=True)
    session.run([1, 2], pipe=Counts)
    session.run([3], pipe=Counts)
    assert seen == [(False, {}, {}), (False, {"n": 1}, {"n": 1}), (False, {}, {"n": 2})]
    with pytest.raises(AttributeError, match="nobody has put 'absent' there"):
        _ = session.context.absent


def test_D28_what_a_pipeline_depends_on_runs_before_it_over_the_same_items(db):
    session = get_session(debug=True)
    session.run([1, 2], "main")
    assert session.context.said == ["depend 1", "depend 2", "main 1 0.3333", "main 2 0.6667"]


def test_D28_a_circle_is_refused(db):
    class Round(Pipe):
        depends = ["being_depend", "round"]

    from penstock_django import pipeline

    pipeline("round")(Round)
    with pytest.raises(UsageError, match="pipelines go round in a circle"):
        get_session().run([1], "round")


# ---- D29, D30: triggers -------------------------------------------------------------------------


def test_D29_a_trigger_goes_on_with_the_results_and_runs_alone_too(place):
    raws("a b", "skip", "c")
    load()
    assert words() == ["a", "b", "c"]
    get_session(debug=True).run(News.objects.all(), "news.link.tags")
    assert words() == ["a", "b", "c"]


@pytest.mark.parametrize("written", ["a", "a.default", "a_default"])
def test_D29_a_trigger_is_named_as_people_write_it(db, written):
    fresh = Registry()
    fresh.add("a", Pipe, 0, [])
    fresh.add("b", Pipe, 0, [written])
    assert fresh.triggered_by("a.default") == ["b.default"]


def test_D29_a_trigger_that_names_nothing_is_found_by_check(db, monkeypatch):
    from penstock_django import registry

    fresh = Registry()
    fresh.add("b", Pipe, 0, ["nowhere"])
    monkeypatch.setattr(registry, "registry", fresh)
    monkeypatch.setattr(fresh, "discover", lambda: None)
    found = [one for one in run_checks() if one.id == "penstock_django.W001"]
    assert [one.msg for one in found] == [
        "pipeline 'b.default' is triggered by 'nowhere', which is no pipeline"
    ]


def test_D30_what_a_trigger_made_of_an_old_result_goes_with_it(place, broken):
    raws("a b")
    load()
    Raw.objects.update(text="c")
    load()
    assert words() == ["c"]
    broken(imports=("c",))
    load()
    assert words() == ["c"], "the item failed, so all that came of it stays"


def test_D30_a_triggered_item_that_fails_keeps_its_old_result(place, broken):
    raws("a b")
    load()
    broken(tags=("a b",))
    get_session(debug=False).run(News.objects.all(), "news.link.tags")
    assert words() == ["a", "b"]
    assert PipelineError.objects.get().item == News.objects.get()


def test_D30_items_that_are_passed_on_are_replaced_by_the_trigger_itself(place):
    from penstock_django import pipeline

    class Passes(Pipe):
        drop = ()

        def process(self):
            return None if self.item.number in self.drop else super().process()

    class Follows(Saves):
        fails = ()

        def process(self):
            if self.item.number in self.fails:
                raise ValueError("no")
            return super().process()

    pipeline("passes")(Passes)
    pipeline("follows", trigger="passes")(Follows)
    items = [SourceItem.objects.create(number=n) for n in (1, 2, 3)]
    get_session(debug=False).run(items, "passes")
    Passes.drop, Follows.fails = (2,), (3,)
    get_session(debug=False).run(items, "passes")
    assert sorted(ResultItem.objects.values_list("number", flat=True)) == [1, 3]


# ---- D31 to D38 ---------------------------------------------------------------------------------


def test_D31_a_pipe_runs_alone(db):
    (raw,) = raws("alone")
    assert NewsImport.eval(raw, debug=True).title == "alone"
    assert Step.eval(1, context={"do": {1: lambda pipe: pipe.ignore()}}) is None


def test_D32_progress_is_shown_or_told(db, capsys):
    told = []
    get_session(progress=lambda *one: told.append(one), chunksize=2).run([1, 2, 3], pipe=Saves)
    assert [one[1:] for one in told] == [(2, 3), (3, 3)]
    get_session(progress=True).run([1, 2, 3], pipe=Saves)
    assert "3 of 3 items" in capsys.readouterr().err


def test_D32_runs_are_kept_with_what_became_of_their_items(db):
    raws("a", "bad", "skip")
    load()
    kept = RunReport.objects.get(pipeline="news.import")
    node = next(one for one in json.loads(kept.report)["nodes"] if one["name"] == "process")
    assert (node["received"], node["sent"], node["failed"], node["filtered"]) == (3, 1, 1, 1)


def test_D33_a_mode_is_refused(db):
    with pytest.raises(UsageError, match="there is no session of mode 'gevent'"):
        get_session(mode="gevent")


def test_D34_models_that_cannot_be_created_together_are_saved_one_by_one(place):
    class Cities(Pipe):
        def process(self):
            self.add_to_save(City(name=f"city {self.item}"), Branch(number=self.item))

    get_session(debug=True).run([1, 2], pipe=Cities)
    assert (Place.objects.count(), City.objects.count()) == (2, 2)
    assert list(Branch.objects.order_by("pk").values_list("left", flat=True)) == [1, 2]


def test_D35_tracks_are_reverted_kept_and_put_back(place):
    raws("a b", "c")
    load()
    first, second = PipelineTrack.objects.filter(pipeline_name="news.import").order_by("pk")
    of_tags = PipelineTrack.objects.filter(pipeline_name="news.link.tags").order_by("pk")[0]
    of_tags.keep_and_delete()
    assert words() == ["c"]
    of_tags.re_insert()
    assert words() == ["a", "b", "c"]
    first.revert()
    assert (titles(), words()) == (["c"], ["c"])
    PipelineTrack.revert_batch(second)
    assert (titles(), PipelineTrack.objects.count()) == ([], 0)


@pytest.mark.parametrize("sliced", [False, True])
def test_D36_a_queryset_is_read_in_chunks_by_its_key(place, sliced):
    for number in range(10, 0, -1):
        SourceItem.objects.create(number=number)
    items = (
        SourceItem.objects.order_by("number")[:9]
        if sliced
        else SourceItem.objects.order_by("number")
    )
    with CaptureQueriesContext(connection) as asked:
        session = get_session(debug=True, chunksize=4)
        session.run(items, pipe=Pipe)
    assert [one.number for one in session.results] == list(range(1, 10 if sliced else 11))
    reads = [
        one
        for one in asked.captured_queries
        if " IN (" in one["sql"] and "sourceitem" in one["sql"]
    ]
    assert len(reads) == 3


def test_D36_an_item_that_leaves_the_conditions_is_still_an_item(place):
    class Marks(Pipe):
        def process(self):
            Raw.objects.update(done=True)
            return self.item.text

    raws("a", "b", "c")
    session = get_session(debug=True, chunksize=1)
    session.run(Raw.objects.filter(done=False).order_by("pk"), pipe=Marks)
    assert session.results == ["a", "b", "c"]


def test_D37_without_track_nothing_is_noted(db):
    class Untracked(Saves):
        track = False

    get_session(debug=True).run(SourceItem.objects.create(number=1), pipe=Untracked)
    assert (ResultItem.objects.count(), PipelineTrack.objects.count()) == (1, 0)


def test_D38_items_need_be_no_models(place):
    context = {"do": {2: lambda pipe: 1 / 0}}
    session = get_session(debug=False, context=context)
    session.run([1, 2], "step")
    error = PipelineError.objects.get()
    assert (error.item_type, error.item_id, error.item, error.item_repr) == (None, "", 2, "2")
    assert PipelineTrack.objects.count() == 0
    error.do_fix_it(context={"do": {}})
    assert PipelineError.objects.filter(fixed=None).count() == 0


def test_D38_objects_that_were_never_saved_are_not_taken_for_one_another(place):
    for text in ("a", "b", "bad"):
        get_session(debug=False).run([Raw(text=text)], "news.import")
    assert sorted(News.objects.values_list("title", flat=True)) == ["a", "b"]
    error = PipelineError.objects.get()
    assert (error.item_type, error.item, error.item_repr) == (None, None, "<Raw: bad>")
    error.do_fix_it()  # there is nothing to do it with
    assert PipelineError.objects.get().fixed is None


def test_the_old_results_can_be_seen_while_an_item_is_processed_again(db):
    seen = []

    class Looks(Saves):
        def process(self):
            seen.append([one.number for one in self.old_results])
            return super().process()

    item = SourceItem.objects.create(number=7)
    for _ in range(2):
        get_session(debug=True).run(item, pipe=Looks)
    assert seen == [[], [7]]


def test_what_prepare_and_finish_give_is_saved(db):
    class Ends(Pipe):
        def prepare(self, items):
            self.add_to_save(ResultItem(number=0))
            return super().prepare(items)

        def finish(self, results):
            self.add_to_save(ResultItem(number=len(results)))

    get_session(debug=True).run([1, 2], pipe=Ends)
    assert sorted(ResultItem.objects.values_list("number", flat=True)) == [0, 2]
