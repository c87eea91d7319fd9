"""The worker's side, as far as it needs no broker; and the settings of Celery."""

from __future__ import annotations

import sys

import pytest
from celery import Celery

from penstock import ConfigError, PluginError, UsageError
from penstock_celery import CeleryEngine, serve
from penstock_celery.applications import application, broker_of
from penstock_celery.worker import make_worker

LEDGER = "sqlite:///ledger.db"


def engine(**options: object) -> CeleryEngine:
    return CeleryEngine(ledger=LEDGER, **{"broker_url": "redis://h/0", **options})


@pytest.mark.parametrize(
    ("args", "said", "why"),
    [
        ([1], {}, "it must say run and chunk, and says [1]"),
        ([], {"run": "shop@1"}, "it must say run and chunk, and says ['run']"),
        ([], {"run": "shop@1", "chunk": 1, "file": "/etc/passwd"}, "it must say run and chunk"),
        ([], {"run": "other@1", "chunk": 1}, "'other@1' is no run of this pipeline"),
        ([], {"run": "shop@" + "1" * 300, "chunk": 1}, "is no run of this pipeline"),
        ([], {"run": ["shop@1"], "chunk": 1}, "['shop@1'] is no run of this pipeline"),
        ([], {"run": "shop@1", "chunk": "1; DROP TABLE orders"}, "is no chunk"),
        ([], {"run": "shop@1", "chunk": True}, "True is no chunk"),
        ([], {"run": "shop@1", "chunk": 0}, "0 is no chunk"),
        ([], {"run": "shop@1", "chunk": 2**40}, "is no chunk"),
    ],
)
def test_a_message_that_is_no_bell_is_refused(shop, caplog, args, said, why):
    shop.make(10)
    task = make_worker(shop.pipeline()).tasks["penstock.chunk.shop"]
    assert task(*args, **said) == "refused"
    assert "a message for shop is refused" in caplog.text
    assert why in caplog.text
    assert not (shop.folder / "ledger.db").exists(), "nothing was looked up"


def test_a_message_that_is_one_does_the_chunk_and_only_once(shop):
    shop.make(20)
    shop.run(max_seconds=0.3)
    ledger = shop.ledger()
    ledger.set_state(ledger.open_run("shop"), "open")
    task = make_worker(shop.pipeline()).tasks["penstock.chunk.shop"]
    assert task(run="shop@1", chunk=2) == "done"
    assert task(run="shop@1", chunk=2) == "idle"
    assert sum(shop.paid().values()) == 5


def test_a_ledger_that_cannot_be_reached_leaves_the_chunk_to_later(shop, caplog):
    shop.make(20)
    shop.file.write_text(shop.file.read_text().replace("ledger.db", "nowhere/ledger.db"))
    task = make_worker(shop.pipeline()).tasks["penstock.chunk.shop"]
    assert task(run="shop@1", chunk=2) == "again"
    assert "shop@1, chunk 2: " in caplog.text
    assert "there is no folder" in caplog.text


def test_an_application_of_somebodys_own_serves_pipelines(shop):
    shop.make(10)
    app = Celery("own", broker="memory://", set_as_current=False)
    serve(app, shop.file, settings=["engine.queue=other"])
    task = app.tasks["penstock.chunk.shop"]
    assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)


def test_only_pipelines_of_this_engine_are_served(shop):
    shop.make(10)
    text = shop.file.read_text()
    shop.file.write_text(text[: text.index("engine:")] + text[text.index("epoch:") :])
    with pytest.raises(UsageError) as caught:
        serve(Celery("own", set_as_current=False), shop.file)
    assert str(caught.value) == (
        "shop: its engine is 'inline', not 'celery'; write engine: {use: celery, …} into the file"
    )


@pytest.mark.parametrize("url", ["redis://:secret@h/0", "amqp://me:secret@h//", "redis://h/0"])
def test_the_broker_is_named_without_its_password(url):
    one = engine(broker_url=url)
    shown = broker_of(one, application(one))
    assert "secret" not in shown
    assert "h" in shown.partition("//")[2]


def test_celery_is_set_to_what_is_safe():
    conf = application(engine()).conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.task_ignore_result
    assert conf.worker_prefetch_multiplier == 1
    assert conf.broker_transport_options == {
        "visibility_timeout": 3600.0,
        "unacked_restore_throttle": 1,
    }


def test_a_time_limit_must_be_below_the_visibility_timeout_of_redis(shop):
    with pytest.raises(ConfigError) as caught:
        engine(time_limit=7200.0)
    assert (
        "time_limit of 7200 s is not below visibility_timeout of 3600 s; a message would come "
        "again while its chunk is run: raise visibility_timeout"
    ) in str(caught.value)
    engine(time_limit=7200.0, visibility_timeout=9000.0)
    engine(time_limit=7200.0, broker_url="amqp://h//")
    shop.make(1, broker="redis://h/0")
    with pytest.raises(ConfigError, match=r"shop\.yaml:.*engine: time_limit of 7200 s"):
        shop.pipeline("engine.time_limit=2h")


def test_so_must_that_of_somebodys_own_application(tmp_path, monkeypatch):
    (tmp_path / "slow_tasks.py").write_text(
        "from celery import Celery\n"
        "app = Celery('own', broker='redis://h/0', set_as_current=False)\n"
        "app.conf.update(accept_content=['json'], task_time_limit=7200)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        application(CeleryEngine(ledger=LEDGER, app="slow_tasks:app"))
    assert (
        "engine.time_limit: 7200 s is not below the broker's visibility_timeout of 3600 s; "
        "a message would come again while its chunk is run: raise visibility_timeout"
    ) in str(caught.value)


def test_an_application_must_accept_nothing_but_json(tmp_path, monkeypatch):
    (tmp_path / "unsafe_tasks.py").write_text(
        "from celery import Celery\n"
        "app = Celery('own', set_as_current=False)\n"
        "app.conf.accept_content = ['json', 'pickle']\n"
        "other = 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"engine\.app: accepts 'pickle', not only JSON"):
        application(CeleryEngine(ledger=LEDGER, app="unsafe_tasks:app"))
    with pytest.raises(PluginError, match="'unsafe_tasks:other' is not an application of Celery"):
        application(CeleryEngine(ledger=LEDGER, app="unsafe_tasks:other"))
    del sys.modules["unsafe_tasks"]


@pytest.mark.parametrize("given", [{}, {"broker_url": "amqp://h//", "app": "a:b"}])
def test_there_is_one_way_to_the_broker(given):
    with pytest.raises(ConfigError, match="give either broker_url or app"):
        CeleryEngine(ledger=LEDGER, **given)


@pytest.mark.parametrize("option", ["chunks", "lease", "ring_again", "time_limit"])
def test_numbers_are_above_nothing(option):
    with pytest.raises(ConfigError, match=f"{option}: must be above 0"):
        engine(**{option: 0})
