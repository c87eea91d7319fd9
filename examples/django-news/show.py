"""Imports news, sees some fail, fixes the code and does them again.

python show.py first     import; the lines of one paper cannot be read
python show.py again     with FIXED=1: do those again
python show.py           all of it, in a database of its own
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

LINES = [
    "2026-11-19 Ferry to Dublin is late",
    "20.11.2026 Snow in Oslo",
    "nothing",
    "2026-11-20 Bread is dearer in Paris",
    "21.11.2026 Oslo digs itself out",
]
HERE = Path(__file__).parent


def first():
    from news.models import RawItem

    from penstock_django import get_session

    RawItem.objects.bulk_create(RawItem(text=text) for text in LINES)
    get_session(debug=False).run(RawItem.objects.order_by("pk"), "news.import")
    show()


def again():
    from penstock_django import PipelineError

    errors = PipelineError.objects.filter(fixed=None)
    while errors.exists():
        error = errors[0]
        print(f"again, {len(error.same_error_items)} items: {error.message}")
        error.do_fix_it()
    show()


def show():
    from news.models import News, NewsTag

    from penstock_django import PipelineError

    for news in News.objects.order_by("day", "pk"):
        words = NewsTag.objects.filter(news=news).order_by("pk").values_list("word", flat=True)
        print(f"  {news.day} {news.title} [{', '.join(words)}]")
    for error in PipelineError.objects.filter(fixed=None).order_by("pk"):
        print(f"  open: {error.item}: {error.message}")


def whole():
    with tempfile.TemporaryDirectory() as folder:
        settings = {**os.environ, "NEWS_DB": str(Path(folder) / "news.db")}

        def call(*words, **more):
            subprocess.run([sys.executable, *words], cwd=HERE, env={**settings, **more}, check=True)

        call("manage.py", "migrate", "--run-syncdb", "--verbosity=0")
        print("import:", flush=True)
        call("show.py", "first")
        print("the code is fixed:", flush=True)
        call("show.py", "again", FIXED="1")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        whole()
    else:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        import django

        django.setup()
        {"first": first, "again": again}[sys.argv[1]]()
