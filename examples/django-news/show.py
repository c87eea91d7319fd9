"""Imports news, sees some fail, fixes the code and does them again.

python show.py            on SQLite, in a database of its own
python show.py servers    and on PostgreSQL, with workers of Celery that RabbitMQ rings for

The same rows must come of both. DATABASE_URL and BROKER_URL name servers; those that are not named
are started on this machine for as long as it takes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 60.0


# ---- what is done in the project, each in a process of its own ----------------------------------


def first():
    """Import what the feed has brought."""
    from news.models import RawItem

    process(RawItem.objects.order_by("pk"))
    show()


def again():
    """The errors once more, and what was mended since."""
    from news.models import RawItem

    from penstock_django import PipelineError, PipelineTrack

    errors = PipelineError.objects.filter(fixed=None).order_by("pk")
    while errors.exists():
        error, before = errors[0], errors.count()
        print(f"  again, {len(error.same_error_items)} items: {error.error_type}")
        error.do_fix_it(in_celery="BROKER_URL" in os.environ)
        wait()
        if errors.count() == before:
            sys.exit(f"not fixed: {error.message}")
    imported = PipelineTrack.objects.filter(pipeline_name="news.import")
    process(RawItem.objects.exclude(pk__in=[int(track.item_id) for track in imported]))
    show()


def process(items):
    from penstock_django import get_session

    session = get_session(debug=False)
    if "BROKER_URL" in os.environ:
        session.run_in_celery(items, "news.import", celery_chunksize=2)
        wait()
    else:
        session.run(items, "news.import")


def wait():
    """Until workers have done every chunk."""
    if "BROKER_URL" not in os.environ:
        return
    from django.db import connection

    deadline = time.monotonic() + PATIENCE
    open_chunks = "SELECT count(*) FROM penstock_celery_items WHERE state NOT IN ('done', 'failed')"
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(open_chunks)
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.1)
    sys.exit(f"workers have not done everything in {PATIENCE:g} s")


def show():
    from penstock_django import PipelineError

    for day, title, words in rows():
        print(f"  {day} {title} [{', '.join(words)}]")
    for error in PipelineError.objects.filter(fixed=None).order_by("item_id"):
        print(f"  open: {error.item}: {error.message}")


def rows():
    """What there is of news: the day, the title and the words, whatever their keys are."""
    from news.models import News

    return sorted(
        [
            str(news.day),
            news.title,
            list(news.newstag_set.order_by("pk").values_list("word", flat=True)),
        ]
        for news in News.objects.all()
    )


# ---- the whole of it ----------------------------------------------------------------------------


def whole(title, **settings):
    """Everything from an empty database on; the rows that there are in the end."""
    print(f"{title}:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NEWS_STATE": folder, **settings}

        def call(*words, expect=0, quiet=False, **more):
            done = subprocess.run(
                [sys.executable, "-W", "ignore", *words],
                cwd=HERE,
                env={**environ, **more},
                stdout=subprocess.PIPE if quiet else None,
                stderr=subprocess.PIPE if quiet else None,
                text=True,
            )
            if done.returncode != expect:
                sys.exit(f"{' '.join(words)} ended with {done.returncode}\n{done.stderr or ''}")
            return done.stdout

        call("manage.py", "migrate", "--run-syncdb", "--verbosity=0")
        call("manage.py", "penstock", "run", "feed.yaml", expect=6, quiet=True)
        with workers(environ):
            call("show.py", "first")
        told = call("manage.py", "penstock", "errors", "--node", "raw", expect=6, quiet=True)
        print(f"  set aside: {told.splitlines()[0]}")
        print("the code is fixed, and the line is mended:", flush=True)
        mended = ["retry", "--node", "raw", "--edit-with", "mended.jsonl"]
        call("manage.py", "penstock", "errors", *mended, quiet=True)
        with workers({**environ, "FIXED": "1"}):
            call("show.py", "again", FIXED="1")
        return json.loads(call("show.py", "rows", quiet=True))


@contextmanager
def workers(environ):
    """Workers of Celery in which the code is as it is now; none where there is no broker."""
    if "BROKER_URL" not in environ:
        yield
        return
    words = ["-m", "celery", "-q", "-A", "project.celery", "worker", "-c", "2", "-l", "ERROR"]
    with open(Path(environ["NEWS_STATE"]) / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words], cwd=HERE, env=environ, stdout=log, stderr=log
        )
    try:
        yield
    except SystemExit:
        print(Path(log.name).read_text(errors="replace"), file=sys.stderr)
        raise
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=60)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


@contextmanager
def servers():
    """The settings that name a PostgreSQL and a RabbitMQ."""
    with ExitStack() as stack:
        found = {name: os.environ.get(name) for name in ("DATABASE_URL", "BROKER_URL")}
        if not all(found.values()):
            from penstock_testkit.servers import PostgreSQL, RabbitMQ, running
        if not found["DATABASE_URL"]:
            server = stack.enter_context(running(PostgreSQL))
            found["DATABASE_URL"] = stack.enter_context(server.database())
        if not found["BROKER_URL"]:
            found["BROKER_URL"] = stack.enter_context(running(RabbitMQ)).url()
        yield found


def compare():
    here = whole("SQLite")
    with servers() as settings:
        there = whole("PostgreSQL, RabbitMQ and workers of Celery", **settings)
    if here != there:
        sys.exit(f"the rows differ:\n{here}\n{there}")
    tags = sum(len(words) for _, _, words in here)
    print(f"the same rows in both: {len(here)} news, {tags} tags")


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word == "servers":
        compare()
    elif not word:
        for name in ("DATABASE_URL", "BROKER_URL"):
            os.environ.pop(name, None)
        whole("SQLite")
    else:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        import django

        django.setup()
        if "BROKER_URL" in os.environ:
            import project.celery  # noqa: F401  the application that rings
        {"first": first, "again": again, "rows": lambda: print(json.dumps(rows()))}[word]()
