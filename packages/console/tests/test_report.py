from __future__ import annotations

import pytest

from penstock import Inspector, RecordError
from penstock.journal import Balance, FailureGroup, NodeReport, Report
from penstock.testing import ListInput, ListOutput
from penstock_console.report import report_lines


@pytest.fixture
def report():
    return Report(
        "shop",
        "20250101T000000-aaaaaa",
        status="letters",
        seconds=1.5,
        nodes=[
            NodeReport("orders", "input", "csv", sent=1000, seconds=0.5),
            NodeReport("store", "output", "json", 1000, 998, failed=2, dead=2, seconds=0.25),
        ],
        balance=Balance(read=1000, written=998, dead=2),
        failures=[FailureGroup("store", "ValueError", 2, "no such day", "orders:17")],
        letters=2,
        warnings=["spare stands in no pipe"],
    )


def shown(report, width=None):
    return ["".join(span.text for span in line) for line in report_lines(report, width)]


def style(report, text):
    return [span.style for line in report_lines(report, None) for span in line if span.text == text]


def test_a_report_is_a_table_and_what_there_is_to_say(report):
    assert shown(report) == [
        "node    use      in    out  filtered  failed  seconds  rate/s",
        "orders  csv          1 000         0       0    0.500   2 000",
        "store   json  1 000    998         0       2    0.250   4 000",
        "",
        "read 1 000 = written 998 + filtered 0 + dead 2",
        "2 × store: no such day (as at orders:17)",
        "warning: spare stands in no pipe",
        "shop: finished, with dead letters, in 1.50 s, run 20250101T000000-aaaaaa",
    ]


def test_what_went_wrong_is_coloured(report):
    assert style(report, "2") == ["red"]
    assert style(report, "2 × store: no such day (as at orders:17)") == ["yellow"]


@pytest.mark.parametrize(
    ("status", "color"),
    [("ok", "green"), ("letters", "yellow"), ("interrupted", "yellow"), ("failed", "red")],
)
def test_the_last_sentence_has_the_colour_of_the_result(report, status, color):
    report.status = status
    assert list(report_lines(report, None))[-1][0].style == color


def test_sums_that_do_not_meet_are_said(report):
    report.balance.errors.append("store was sent 1000 and received 998")
    assert "  store was sent 1000 and received 998" in shown(report)
    assert style(report, "  store was sent 1000 and received 998") == ["red"]


def test_an_error_keeps_its_lines_and_cannot_steer_the_terminal(report):
    report.status, report.error = "failed", "store: full\n  see \x1b[2Jthere"
    assert shown(report)[-2:] == ["store: full", r"  see \x1b[2Jthere"]


def test_a_failure_cannot_steer_the_terminal(report):
    report.failures[0].message = "not a day: '\x1b]0;title\x07\n'"
    assert r"2 × store: not a day: '\x1b]0;title\x07 ' (as at orders:17)" in shown(report)


def test_long_names_are_cut_but_sentences_never(report):
    report.nodes[0].name = "orders_of_all_the_branches_of_the_shop"
    report.failures[0].message = "no such day " * 20
    lines = shown(report, 70)
    assert max(map(len, lines[:3])) == 70
    assert lines[1].startswith("orders_of_all_…  csv")
    assert lines[5].count("no such day") == 20


def test_what_inspectors_observed_stands_before_the_warnings(start):
    class Range(Inspector):
        def inspect(self, record):
            if record == 3:
                raise RecordError("three")

        def finish(self):
            self.context.observe("values", {"id": {"min": 1, "max": 4}})
            self.context.observe("odd", 2)
            return ()

    run = start(ListInput(values=[1, 2, 3, 4]), Range(), ListOutput(), display=None)
    run.warnings.append("the clock is slow")
    lines = shown(run.execute())
    assert lines[5:-1] == [
        "read 4 = written 3 + filtered 0 + dead 1",
        "1 × range: three (as at list:3)",
        "range",
        "  values  min  max",
        "  id        1    4",
        "  odd: 2",
        "warning: the clock is slow",
    ]
