"""What `nox -s mutation` changes, and that it notices what tests do not."""

from __future__ import annotations

import ast
from pathlib import Path

import mutation
import mutation_forks
import pytest

SOURCE = '''
def put(store, number, ready=False):
    """Store, then say so; "True" here is no value."""
    if number > 0 and ready:
        store.save(number)
        store.confirm(number)
    return number + 1
'''


def changes(source: str) -> dict[str, str]:
    return {one.what: one.source for one in mutation.mutants("m", source)}


def test_statements_are_left_out_and_neighbours_exchanged():
    found = changes(SOURCE)
    assert found["`store.confirm(number)` before `store.save(number)`"] == SOURCE.replace(
        "save", "x"
    ).replace("confirm", "save").replace("x(", "confirm(")
    assert found["`store.save(number)` -> `pass`"] == SOURCE.replace("store.save(number)", "pass")
    assert "return None" in found["`return number + 1` -> `return None`"]


def test_conditions_operators_and_values_are_changed():
    assert {
        "`number > 0 and ready` -> `not (number > 0 and ready)`",
        "`number > 0 and ready` -> `(number > 0 or ready)`",
        "`number > 0` -> `number >= 0`",
        "`0` -> `1`",
        "`number + 1` -> `(number - 1)`",
        "`1` -> `2`",
    } <= changes(SOURCE).keys()


def test_every_change_of_what_is_mutated_is_one_change_that_can_be_read():
    for module in mutation.MODULES:
        path = mutation.SOURCE / "penstock" / (module.replace(".", "/") + ".py")
        source = path.read_text("utf-8")
        found = list(mutation.mutants(module, source))
        assert found
        for one in found:
            assert one.source != source
            ast.parse(one.source)


def test_what_needs_the_one_before_it_is_not_exchanged():
    source = "def f(a):\n    b = a()\n    a(b)\n    return b\n"
    assert not any("before" in what for what in changes(source))


def test_what_means_nothing_is_left_as_it_is():
    """The order within a transaction, and that of names that only this function knows."""
    inside = (
        "def f(self, a):\n    with self._transaction() as c:\n        c.one()\n        c.two()\n"
    )
    assert sorted(changes(inside)) == ["`c.one()` -> `pass`", "`c.two()` -> `pass`"]
    names = "def f(a):\n    b = a.c\n    d = a()\n    return b(d)\n"
    assert not any("before" in what for what in changes(names))
    assert changes("def f():\n    raise NotImplementedError\n") == {}
    assert [*changes("def f():\n    return True\n")] == ["`True` -> `False`"]
    assert [*changes("def f(a):\n    if not a:\n        return\n")] == ["`not a` -> `(a)`"]


def test_texts_and_types_are_left_alone():
    source = 'def f(a: int = 0, b: "list[1]" = None) -> "x[2]":\n    c: "y[3]" = f"{a + 1}"\n'
    assert [*changes(source)] == ['`c: "y[3]" = f"{a + 1}"` -> `pass`']


def test_the_functions_in_which_order_is_all_are_there():
    for module, functions in mutation.ORDERING.items():
        path = mutation.SOURCE / "penstock" / f"{module}.py"
        here = {n.name for n in ast.walk(ast.parse(path.read_text("utf-8"))) if hasattr(n, "name")}
        assert set(functions) <= here
        assert {"commit", "recover"} <= set(functions)


@pytest.fixture
def copy(tmp_path):
    """A copy of a module that is not the kernel's."""
    package = tmp_path / "src" / "penstock"
    package.mkdir(parents=True)
    (package / "m.py").write_text(SOURCE)
    return tmp_path / "src"


TEST = """
import os
import time
import types

import pytest

module = types.ModuleType("m")
exec(compile(open({path!r}).read(), {path!r}, "exec"), module.__dict__)


class Store(list):
    def save(self, number):
        self.append(("save", number))

    def confirm(self, number):
        self.append(("confirm", number))


def test_all(tmp_path):
    store = Store()
    assert module.put(store, 1, True) == 2
    assert {asserted}


def test_that_does_not_reach_it():
    pass
"""
SWAPPED = "`store.confirm(number)` before `store.save(number)`"


def verdicts(copy, folder, asserted, text=TEST, patience=10.0):
    test = folder / "test_m.py"
    test.write_text(text.format(path=str(copy / "penstock" / "m.py"), asserted=asserted))
    chosen = [one for one in mutation.mutants("m", SOURCE) if one.what == SWAPPED]
    return [*mutation.tried(chosen, copy, [str(test)], patience=patience)]


@pytest.mark.parametrize(
    ("asserted", "left"),
    [("store == [('save', 1), ('confirm', 1)]", False), ("len(store) == 2", True)],
)
def test_a_change_survives_when_every_test_that_reaches_it_passes(copy, tmp_path, asserted, left):
    [found] = verdicts(copy, tmp_path, asserted)
    assert found.tests == 1
    assert (found.by == "") is left
    assert found.by.endswith("test_m.py::test_all") is not left
    assert (copy / "penstock" / "m.py").read_text() == SOURCE, "what is changed is in memory"


def test_every_change_is_made_to_the_function_as_it_was(copy, tmp_path):
    test = tmp_path / "test_m.py"
    asserted = "store == [('save', 1), ('confirm', 1)]"
    test.write_text(TEST.format(path=str(copy / "penstock" / "m.py"), asserted=asserted))
    found = [*mutation.tried([*mutation.mutants("m", SOURCE)], copy, [str(test)], jobs=2)]
    survivors = {one.mutant.what for one in found if not one.by}
    assert len(found) == len([*mutation.mutants("m", SOURCE)])
    assert survivors == {
        "`number > 0 and ready` -> `(number > 0 or ready)`",
        "`number > 0` -> `number >= 0`",
        "`False` -> `True`",
    } & {one.mutant.what for one in found}


def test_what_no_test_reaches_survives(copy, tmp_path):
    [found] = verdicts(copy, tmp_path, "True", text="def test_other(): pass")
    assert (found.by, found.tests) == ("", 0)


def test_a_test_that_fails_without_a_change_is_named_and_left_out(copy, tmp_path, capsys):
    [found] = verdicts(copy, tmp_path, "store == []")
    assert (found.by, found.tests) == ("", 0)
    assert "left out, as it fails without a change: " in capsys.readouterr().out


def test_a_change_that_makes_a_test_end_its_process_is_noticed(copy, tmp_path):
    ends = "store[0][0] == 'save' or os._exit(0)"
    [found] = verdicts(copy, tmp_path, ends)
    assert found.by.endswith("test_all")


def test_a_change_that_makes_a_test_hang_is_noticed(copy, tmp_path):
    hangs = "store[0][0] == 'save' or time.sleep(100)"
    [found] = verdicts(copy, tmp_path, hangs, patience=0.5)
    assert found.by.endswith("test_all hangs")
    assert found.seconds < 60


def test_tests_that_cannot_be_collected_are_told(copy, tmp_path):
    with pytest.raises(SystemExit, match="the tests cannot be run"):
        verdicts(copy, tmp_path, "True", text="1 / 0")


def test_the_code_of_a_method_keeps_its_cells_when_super_is_left_out():
    source = "class A:\n    def f(self):\n        super().f()\n        return 1\n"
    assert mutation_forks.outermost(source, 3) == ("f", 2)
    changed = source.replace("super().f()", "pass")
    code = mutation_forks.code_of(changed, "a.py", "f", 2, ["__class__"])
    assert code.co_freevars == ("__class__",)
    assert mutation_forks.code_of(source, "a.py", "f", 2, ["__class__"]).co_freevars


def test_a_survivor_that_is_not_listed_fails_the_session(capsys, monkeypatch):
    chosen = [*mutation.mutants("delivery", SOURCE)] * 3
    known = {chosen[0].key: "nothing can be seen"}
    monkeypatch.setattr(mutation, "listed", lambda: known)
    assert mutation._report(chosen, chosen[:1], None) == 0
    assert mutation._report(chosen, chosen[1:2], None) == 1
    assert f"not in the list: {chosen[1].key}" in capsys.readouterr().out


def test_too_many_survivors_fail_it_even_if_all_are_listed(monkeypatch):
    chosen = [*mutation.mutants("delivery", SOURCE)]
    monkeypatch.setattr(mutation, "listed", lambda: {one.key: "so be it" for one in chosen})
    assert mutation._report(chosen, chosen, None) == 1


def test_every_module_has_tests_that_are_there():
    assert set(mutation.TESTS) == set(mutation.MODULES)
    assert all(Path(test).is_file() for test in mutation._tests_of(mutation.MODULES))


def test_of_very_many_tests_some_of_each_module_are_tried():
    tests = [f"{'a' if n < 500 else 'b'}.py::test_{n}" for n in range(600)]
    some = mutation_forks._some_of_each(tests)
    assert len(some) == mutation_forks.MANY
    assert sum(test.startswith("b") for test in some) == 40
    assert mutation_forks._some_of_each(tests[:3]) == tests[:3]


def test_every_listed_survivor_is_a_change_that_there_is():
    there = {
        one.key
        for module in mutation.MODULES
        for one in mutation.mutants(
            module,
            (mutation.SOURCE / "penstock" / (module.replace(".", "/") + ".py")).read_text("utf-8"),
        )
    }
    assert set(mutation.listed()) - there == set(), "remove what is not there any more"
    assert all(len(reason) > 20 for reason in mutation.listed().values())
