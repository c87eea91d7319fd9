"""What this package provides."""

from penstock import hookimpl


@hookimpl
def penstock_transformers() -> dict[str, str]:
    return {"slug": "acme_slugs.transformer:Slug"}
