from __future__ import annotations

import io
import os

import pytest

from penstock_console.terminal import Block, Terminal
from penstock_console.text import Span


def lines(*texts):
    return [[Span(text)] for text in texts]


def test_a_block_is_drawn_where_the_one_before_stood(terminal, screen):
    one = terminal()
    one.write("$ penstock run\n")
    block = Block(one)
    block.draw(lines("read 1", "written 1"))
    block.draw(lines("read 20", "written 19", "failed 1"))
    block.draw(lines("done"))
    assert str(screen(one.stream.getvalue())) == "$ penstock run\ndone\n"


def test_an_erased_block_leaves_its_place_to_what_comes(terminal, screen):
    one = terminal()
    one.write("$ penstock run\n")
    block = Block(one)
    block.draw(lines("read 1", "written 1"))
    block.erase()
    block.erase()
    one.show(lines("report"))
    assert str(screen(one.stream.getvalue())) == "$ penstock run\nreport\n"


def test_what_others_wrote_below_a_block_stays_when_the_block_is_left(terminal, screen):
    one = terminal()
    block = Block(one)
    block.draw(lines("read 1"))
    one.stream.write("^Cpenstock: finishing what was read\n")
    block.leave()
    block.draw(lines("read 2"))
    block.draw(lines("read 3"))
    shown = str(screen(one.stream.getvalue()))
    assert shown == "read 1\n^Cpenstock: finishing what was read\nread 3\n"


def test_a_block_is_never_wider_or_higher_than_the_terminal(terminal, size, screen):
    size(10, 4)
    one = terminal()
    Block(one).draw(lines("a" * 30, "b", "c", "d", "e"))
    assert str(screen(one.stream.getvalue())) == "aaaaaaaa…\nb\nc\n"


def test_a_terminal_that_changes_its_width_loses_nothing_above_the_block(terminal, size, screen):
    one = terminal()
    one.write("above\n")
    block = Block(one)
    block.draw(lines("old"))
    size(40)  # what stands there may be wrapped now, over who knows how many lines
    block.draw(lines("new"))
    assert str(screen(one.stream.getvalue())) == "above\nold\nnew\n"


def test_nothing_is_drawn_over_the_prompt_of_a_shell(terminal, monkeypatch, screen):
    one = terminal()
    block = Block(one)
    block.draw(lines("read 1"))
    monkeypatch.setattr(one.stream, "fileno", lambda: 2)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    block.draw(lines("read 2"))
    block.erase()
    assert str(screen(one.stream.getvalue())) == "read 1\n"


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_gets_neither_blocks_nor_colours(terminal, term):
    one = terminal(color=True, term=term)
    assert one.is_terminal
    assert not one.can_redraw
    one.show([[Span("failed", "red")]])
    assert one.stream.getvalue() == "failed\n"


def test_colours_are_there_only_when_they_are_wanted(terminal):
    line = [Span("12", "red"), Span(" of 100")]
    assert terminal(color=True).text_of(line) == "\x1b[31m12\x1b[0m of 100"
    assert terminal(color=False).text_of(line) == "12 of 100"


def test_a_file_is_no_terminal(terminal):
    assert not terminal(io.StringIO()).is_terminal
    assert not terminal(io.StringIO()).can_redraw


def test_the_size_of_a_stream_without_one_is_the_usual_one(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    monkeypatch.setattr("sys.__stdout__", io.StringIO())
    assert Terminal(None, color=False, environ={}).size == (80, 24)


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"##- ~ 2 x != ?\n"), ("utf-8", None)])
def test_what_an_encoding_lacks_is_replaced(terminal, encoding, shown):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding, newline="\n") as stream:
        terminal(stream).show(lines("██░ … 2 × ≠ ü"))
        assert raw.getvalue() == (shown or "██░ … 2 × ≠ ü\n".encode())


class Broken(io.StringIO):
    """A stream that nobody reads any longer."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


def test_a_stream_that_fails_is_left_alone(terminal):
    stream = Broken()
    one = terminal(stream)
    one.write("a")
    one.write("b")
    assert stream.writes == 1
    assert not one.works


def test_a_stream_that_is_closed_or_missing_is_survived(terminal):
    closed = io.StringIO()
    closed.close()
    terminal(closed).write("a")
    assert not terminal(closed).is_terminal
    Terminal(None, color=True, environ={}).write("a")
