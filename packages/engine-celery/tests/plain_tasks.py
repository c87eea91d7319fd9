"""Celery as it comes: what the same kills do to tasks without a ledger."""

from __future__ import annotations

import os
import sqlite3
import time

from celery import Celery

app = Celery("plain", broker=os.environ["PLAIN_BROKER"], set_as_current=False)
if os.environ["PLAIN_BROKER"].startswith("redis"):  # what is then missing is lost, not late
    app.conf.broker_transport_options = {"visibility_timeout": 15}


@app.task(ignore_result=True)
def pay(number: int) -> None:
    time.sleep(float(os.environ["PLAIN_NAP"]))
    there = sqlite3.connect(os.environ["PLAIN_DATABASE"], timeout=30)
    with there:
        there.execute("INSERT INTO paid VALUES (?)", (number,))
    there.close()
