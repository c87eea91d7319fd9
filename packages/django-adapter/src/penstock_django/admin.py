"""The pages of the admin: runs, dead letters, errors of items, and what items gave.

Records hold anything, so nothing of them reaches a page unescaped: only templates and `format_html`
put them there.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.utils.html import format_html, format_html_join

from penstock import DeadLetter, PenstockError

from .models import Letter, PipelineError, PipelineTrack, RunReport
from .store import letter_of

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


@admin.register(RunReport)
class RunReportAdmin(_Shown):
    """Runs, newest first, with what became of the records."""

    list_display = ["run_id", "pipeline", "status", "read", "written", "failed", "seconds"]
    list_filter = ["status", "pipeline"]
    search_fields = ["run_id", "pipeline"]
    fields = ["run_id", "pipeline", "status", "seconds", "nodes", "said"]

    def _balance(self, run: RunReport, name: str) -> Any:
        return json.loads(run.report).get("balance", {}).get(name, "")

    def read(self, run: RunReport) -> Any:
        return self._balance(run, "read")

    def written(self, run: RunReport) -> Any:
        return self._balance(run, "written")

    def failed(self, run: RunReport) -> int:
        return sum(node["failed"] for node in json.loads(run.report).get("nodes", []))

    @admin.display(description="nodes")
    def nodes(self, run: RunReport) -> str:
        """The counts of each node."""
        names = ["name", "use", "received", "sent", "filtered", "failed"]
        head = format_html_join("", "<th>{}</th>", ((name,) for name in names))
        rows = (
            format_html_join("", "<td>{}</td>", ((node.get(name, ""),) for name in names))
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

    list_display = ["__str__", "pipeline", "error", "message", "attempts"]
    list_filter = ["pipeline", "node", "error", "source"]
    search_fields = ["message", "record", "source", "node", "error", "run_id"]
    actions = ["try_again"]

    def get_fields(self, request: Any, obj: Any = None) -> list[str]:
        return [one.name for one in Letter._meta.fields if one.name not in ("id", "first", "last")]

    def get_readonly_fields(self, request: Any, obj: Any = None) -> list[str]:
        return [name for name in self.get_fields(request, obj) if name != "record"]

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return self._may(request, "mend")

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return self._may(request, "view") or self._may(request, "mend")

    def has_retry_permission(self, request: Any) -> bool:
        return self._may(request, "retry")

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
            done = retry_letters(letters, mended)
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

    list_display = ["pipeline_name", "item_repr", "error_type", "message", "attempts", "fixed"]
    list_filter = [_Open, "pipeline_name", "error_type"]
    search_fields = ["item_repr", "message", "error_type", "item_id"]
    actions = ["run_again", "ignore"]
    exclude = ["html", "stack_hash"]

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
