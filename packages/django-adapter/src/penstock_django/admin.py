"""The pages of the admin: runs, dead letters, errors of items, and what items gave.

Records hold anything, so nothing of them reaches a page unescaped: only templates and `format_html`
put them there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from penstock import DeadLetter, PenstockError

from .live import status_of, under_way
from .models import Letter, PipelineError, PipelineTrack, RunReport
from .store import letter_of
from .story import Story, of_item, of_record

__all__ = ["LetterAdmin", "PipelineErrorAdmin", "PipelineTrackAdmin", "RunReportAdmin"]


class _Shown(admin.ModelAdmin):
    """A page for looking: what runs keep is not written by hand."""

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def _may(self, request: Any, verb: str) -> bool:
        name = f"{self.opts.app_label}.{verb}_{self.opts.model_name}"
        return bool(request.user.has_perm(name))

    def _told(self, request: Any, story: Story, **more: Any) -> TemplateResponse:
        """The page of a story."""
        shown = {"story": story, "title": story.title, **more}
        shown.update(self.admin_site.each_context(request))
        return TemplateResponse(request, "penstock_django/story.html", shown)


def _story_link(page: str, **what: Any) -> str:
    url = f"{reverse(f'admin:{page}')}?{urlencode(what)}"
    return str(format_html('<a href="{}">story</a>', url))


def _asked(request: Any, *names: str) -> list[Any]:
    """The arguments of a story's address."""
    try:
        return [request.GET[name] for name in names]
    except KeyError as error:
        raise Http404 from error


_COLUMNS = ["node", "use", "in", "out", "filtered", "failed", "rate/s"]


def _cells(node: Mapping[str, Any]) -> list[Any]:
    """What is shown of a node in a report, by `_COLUMNS`."""
    arrived = "" if node.get("role") == "input" else node.get("received", 0)
    counts = [node.get(name, 0) for name in ("sent", "filtered", "failed")]
    return [node.get("name", ""), node.get("use", ""), arrived, *counts, round(node.get("rate", 0))]


def _chunks(run: Mapping[str, Any]) -> str:
    """How many chunks are done of a run in chunks; "" for another one."""
    return f"{run['chunks_done']} of {run['chunks']} chunks" if run.get("chunks") else ""


def _live(run: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a run that is under way."""
    nodes = [dict(zip(_COLUMNS, _cells(node), strict=True)) for node in run["nodes"]]
    there = RunReport.objects.filter(pk=run["run_id"]).exists()
    url = reverse("admin:penstock_django_runreport_change", args=[quote(run["run_id"])])
    return {
        "run_id": run["run_id"],
        "pipeline": run["pipeline"],
        "seconds": run["seconds"],
        "done": run.get("done", run["balance"]["read"]),
        "total": run.get("total", 0),
        "chunks": _chunks(run),
        "nodes": nodes,
        "url": url if there else "",  # a run of pipes has its row when its transaction has ended
    }


@admin.register(RunReport)
class RunReportAdmin(_Shown):
    """Runs, newest first, with what became of the records; above them those that are under way."""

    list_display = ["run_id", "pipeline", "state", "read", "written", "failed", "took"]
    list_filter = ["status", "pipeline"]
    search_fields = ["run_id", "pipeline"]
    fields = ["run_id", "pipeline", "state", "took", "nodes", "said"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.live)
        return [path("live/", view, name="penstock_live"), *super().get_urls()]

    def get_fields(self, request: Any, obj: Any = None) -> list[str]:
        in_chunks = obj is not None and self.chunks(obj)
        return [*self.fields[:4], *(["chunks"] if in_chunks else []), *self.fields[4:]]

    def live(self, request: Any) -> JsonResponse:
        """The runs that are under way, or `run` alone if it is, with the counts of each node."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        one = request.GET.get("run")
        runs = [run for run in under_way() if one is None or run["run_id"] == one]
        return JsonResponse({"runs": list(map(_live, runs))})

    def change_view(self, request: Any, object_id: str, *given: Any, **more: Any) -> Any:
        run_id = unquote(object_id)
        shown = {"under_way": any(run["run_id"] == run_id for run in under_way())}
        return super().change_view(request, object_id, *given, extra_context=shown, **more)

    @admin.display(description="status", ordering="status")
    def state(self, run: RunReport) -> str:
        return status_of(run)

    @admin.display(description="seconds", ordering="seconds")
    def took(self, run: RunReport) -> str:
        return f"{run.seconds:.2f}"

    def _balance(self, run: RunReport, name: str) -> Any:
        return json.loads(run.report).get("balance", {}).get(name, "")

    def read(self, run: RunReport) -> Any:
        return self._balance(run, "read")

    def written(self, run: RunReport) -> Any:
        return self._balance(run, "written")

    def failed(self, run: RunReport) -> int:
        return sum(node["failed"] for node in json.loads(run.report).get("nodes", []))

    def chunks(self, run: RunReport) -> str:
        return _chunks(json.loads(run.report))

    @admin.display(description="nodes")
    def nodes(self, run: RunReport) -> str:
        """The counts of each node."""
        head = format_html_join("", "<th>{}</th>", ((name,) for name in _COLUMNS))
        rows = (
            format_html_join("", "<td>{}</td>", ((cell,) for cell in _cells(node)))
            for node in json.loads(run.report).get("nodes", [])
        )
        body = format_html_join("", "<tr>{}</tr>", ((row,) for row in rows))
        return str(format_html("<table><tr>{}</tr>{}</table>", head, body))

    @admin.display(description="what it said")
    def said(self, run: RunReport) -> str:
        report = json.loads(run.report)
        groups = [f"{one['count']} × {one['message']}" for one in report.get("failures", [])]
        lines = [*report.get("warnings", []), *groups, report.get("error") or ""]
        return str(format_html("<pre>{}</pre>", "\n".join(filter(None, lines))))


@admin.register(Letter)
class LetterAdmin(_Shown):
    """Dead letters. Who may mend one changes its record, and it is tried again when it is saved."""

    list_display = ["__str__", "pipeline", "error", "message", "attempts", "story"]
    list_filter = ["pipeline", "node", "error", "source"]
    search_fields = ["message", "record", "source", "node", "error", "run_id"]
    actions = ["try_again"]

    def get_fields(self, request: Any, obj: Any = None) -> list[str]:
        names = [one.name for one in Letter._meta.fields]
        return [*(name for name in names if name not in ("id", "first", "last")), "story"]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> list[str]:
        return [name for name in self.get_fields(request, obj) if name != "record"]

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return self._may(request, "mend")

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return self._may(request, "view") or self._may(request, "mend")

    def has_retry_permission(self, request: Any) -> bool:
        return self._may(request, "retry")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.story_view)
        return [path("story/", view, name="penstock_story_of_record"), *super().get_urls()]

    def story_view(self, request: Any) -> TemplateResponse:
        """What became of a record in every run; also when its letter is gone. Posted, what becomes
        of it now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        pipeline, source, ordinal = _asked(request, "pipeline", "source", "ordinal")
        if not ordinal.isdecimal():
            raise Http404
        story = of_record(pipeline, source, int(ordinal))
        may, found = self.has_retry_permission(request), None
        if request.method == "POST":
            if not may:
                raise PermissionDenied
            from .replaying import replay

            found = replay(pipeline, source, int(ordinal))
        return self._told(request, story, may_replay=may, replayed=found)

    def story(self, letter: Letter) -> str:
        record = {name: getattr(letter, name) for name in ("pipeline", "source", "ordinal")}
        return _story_link("penstock_story_of_record", **record)

    @admin.action(description="Try again where they failed", permissions=["retry"])
    def try_again(self, request: Any, queryset: Any) -> None:
        self._retry(request, [letter_of(row) for row in queryset], {})

    def save_model(self, request: Any, obj: Any, form: Any, change: Any) -> None:
        """Mended: the row is not written, it goes when the record comes through."""
        try:
            json.loads(obj.record)
        except ValueError:
            self.message_user(request, f"{obj}: the record is not JSON", messages.ERROR)
            return
        request.mended = letter_of(obj)

    def change_view(self, request: Any, *given: Any, **more: Any) -> Any:
        """Try a mended letter again, behind the transaction in which this page is handled: the run
        has a connection of its own, and would wait for it."""
        response = super().change_view(request, *given, **more)
        letter = getattr(request, "mended", None)
        if letter is not None:
            self._retry(request, [letter], {letter.identity: letter.record})
        return response

    def _retry(self, request: Any, letters: list[DeadLetter], mended: Any) -> None:
        from .runs import retry_letters

        try:
            done = retry_letters(letters, mended, request.user.get_username())
        except PenstockError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        text = f"{done.mended} mended, {done.failed} failed"
        level = messages.WARNING if done.failed or done.left else messages.SUCCESS
        self.message_user(request, text, level)
        for name, why in done.left:
            self.message_user(request, f"{name}: {why}", messages.WARNING)


class _Open(admin.SimpleListFilter):
    title = "state"
    parameter_name = "open"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "open"), ("no", "fixed")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() is None:
            return queryset
        return queryset.filter(fixed__isnull=self.value() == "yes")


@admin.register(PipelineError)
class PipelineErrorAdmin(_Shown):
    """Errors of items: fix the code, and run them again."""

    list_display = [
        "pipeline_name",
        "item_repr",
        "error_type",
        "message",
        "attempts",
        "fixed",
        "story",
    ]
    list_filter = [_Open, "pipeline_name", "error_type"]
    search_fields = ["item_repr", "message", "error_type", "item_id"]
    actions = ["run_again", "ignore"]
    exclude = ["html", "stack_hash"]
    readonly_fields = ["story"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.story_view)
        return [path("story/", view, name="penstock_story_of_item"), *super().get_urls()]

    def story_view(self, request: Any) -> TemplateResponse:
        """What became of an item in every pipeline."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        type_id, key = _asked(request, "type", "item")
        if not ContentType.objects.filter(pk=type_id if type_id.isdecimal() else 0).exists():
            raise Http404
        return self._told(request, of_item(int(type_id), key))

    def story(self, error: PipelineError) -> str:
        if error.item_type_id is None:
            return "-"  # a number, a dict: nothing tells it from another one
        return _story_link("penstock_story_of_item", type=error.item_type_id, item=error.item_id)

    def has_retry_permission(self, request: Any) -> bool:
        return self._may(request, "retry")

    def has_ignore_permission(self, request: Any) -> bool:
        return self._may(request, "ignore")

    @admin.action(description="Run the items again", permissions=["retry"])
    def run_again(self, request: Any, queryset: Any) -> None:
        from .items import items_of

        chosen = list(queryset.filter(fixed=None))
        for name in dict.fromkeys(one.pipeline_name for one in chosen):
            theirs = [one for one in chosen if one.pipeline_name == name]
            try:
                theirs[0].do_fix_it(items_of(theirs))
            except PenstockError as error:
                self.message_user(request, str(error), messages.ERROR)
        keys = [one.pk for one in chosen]
        fixed = PipelineError.objects.filter(pk__in=keys).exclude(fixed=None).count()
        self.message_user(request, f"{fixed} fixed, {len(chosen) - fixed} failed")

    @admin.action(description="Ignore all of the same errors", permissions=["ignore"])
    def ignore(self, request: Any, queryset: Any) -> None:
        count = sum(one.ignore() for one in queryset.filter(fixed=None))
        self.message_user(request, f"{count} ignored")


@admin.register(PipelineTrack)
class PipelineTrackAdmin(_Shown):
    """What items gave."""

    list_display = ["pipeline_name", "item_type", "item_id", "created_info", "created_date"]
    list_filter = ["pipeline_name", "item_type"]
    search_fields = ["item_id", "result_id"]
