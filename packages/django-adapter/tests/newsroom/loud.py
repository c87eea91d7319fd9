"""A transformer of the project's own."""


def loud(record):
    return {**record, "code": record["code"].upper()}
