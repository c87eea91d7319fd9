"""What `iban` promises."""

from acme_iban.inspector import IbanInspector

import penstock
from penstock.testing import ListInput, ListOutput

GOOD, BAD = {"iban": "GB82 WEST 1234 5698 7654 32"}, {"iban": "GB83 WEST 1234 5698 7654 32"}


def test_wrong_check_digits_are_set_aside():
    records, out = ListInput(values=[GOOD, BAD, {}]), ListOutput()
    report = penstock.run(records, IbanInspector(), out)
    assert out.values == [GOOD]
    assert report.letters == 2
