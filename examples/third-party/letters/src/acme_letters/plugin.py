"""What this package provides."""

from penstock import hookimpl


@hookimpl
def penstock_outputs() -> dict[str, str]:
    return {"letters": "acme_letters.output:LettersOutput"}
