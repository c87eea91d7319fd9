"""The application that workers run: `celery -A project.celery worker`."""

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from penstock_celery.django import serve_items  # noqa: E402

app = Celery("news", broker=os.environ.get("BROKER_URL", "amqp://localhost//"))
app.conf.update(
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    task_default_queue="news",
    broker_connection_retry_on_startup=True,
)
serve_items(app)
