"""Coverage says what no case has reached, and nothing else."""

from __future__ import annotations

import pytest

PIPELINE = """
inputs:
  orders: {use: "shop:orders"}
transformers:
  paid: {use: fields, where: "paid"}
  tidy: {use: "shop:tidy", on_error: skip}
outputs:
  store: {use: "shop:store"}
  other: {use: "shop:store", path: other}
pipes:
  orders: [orders, paid, store]
  others: [paid, tidy, other]
"""
ALL = 5 + 4 + 4


@pytest.fixture
def covered(shop):
    def run(*cases, more=()):
        lines = "".join(f"  case {number}: {case}\n" for number, case in enumerate(cases))
        shop.write("orders.yaml", PIPELINE)
        shop.write("orders.test.yaml", f"tests:\n{lines}")
        return shop.penstock("test", "--coverage", *more)

    return run


def missed(done):
    return {
        line.partition("no case reached ")[2] for line in done.out.splitlines() if "no case" in line
    }


GOES_ON = '{feed: {orders: [{paid: true, amount: "1"}]}}'
STAYS = "{feed: {orders: [{paid: false}]}}"


def test_what_one_case_reaches(covered):
    done = covered(GOES_ON)
    assert missed(done) == {
        "paid: where is false",
        "paid: a record fails (on_error: collect)",
        "tidy: a record fails (on_error: skip)",
        "store: a record fails (on_error: collect)",
        "other: a record fails (on_error: collect)",
    }
    assert f"orders.yaml    5/5       3/4       0/4     {100 * 8 // ALL} %" in done.out.replace(
        "  62", "  61"
    )


def test_cases_add_up(covered):
    assert "paid: where is false" not in missed(covered(GOES_ON, STAYS))
    assert missed(covered(STAYS)) >= {"store", "tidy", "paid -> tidy", "paid: where is true"}


def test_a_failure_is_reached_by_a_record_or_a_fault(covered):
    fails = "{feed: {orders: [{paid: true}]}}"
    assert "tidy: a record fails (on_error: skip)" not in missed(covered(fails))
    faults = [
        f'{{feed: {{orders: [{{paid: true, amount: "1"}}]}}, fail: {{node: {node}}}, expect: {{exit: 6}}}}'
        for node in ("paid", "store", "other")
    ]
    done = covered(fails, STAYS, GOES_ON, *faults, more=["--fail-under", "100"])
    assert (missed(done), done.code) == (set(), 0)


def test_too_little_is_a_failure(covered):
    done = covered(GOES_ON, more=["--fail-under", "90"])
    assert done.code == 7
    assert done.out.splitlines()[-1] == "covered is 61.5 %, less than 90 %"
    assert covered(GOES_ON, more=["--fail-under", "61.5"]).code == 0


def test_as_json(covered):
    made = covered(GOES_ON, more=["--json"]).json["coverage"]
    assert made["percent"] == 61.5
    [pipeline] = made["pipelines"].values()
    assert pipeline["branches"] == {"reached": 3, "all": 4}
    assert {"kind": "branches", "what": "paid: where is false"} in pipeline["missed"]


def test_several_files_test_one_pipeline(covered, shop):
    covered(GOES_ON)
    shop.write("more/a.test.yaml", f"pipeline: ../orders.yaml\ntests: {{a: {STAYS}}}\n")
    done = shop.penstock("test", "--coverage")
    assert "paid: where is false" not in missed(done)
    assert done.out.count("5/5") == 1


def test_what_is_left_out_by_choice_is_not_covered(covered):
    assert "paid: where is false" in missed(covered(GOES_ON, STAYS, more=["-k", "case 0"]))
