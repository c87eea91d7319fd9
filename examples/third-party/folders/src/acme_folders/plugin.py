"""What this package provides."""

from penstock import hookimpl


@hookimpl
def penstock_brokers() -> dict[str, str]:
    return {"folders": "acme_folders.broker:FoldersBroker"}
