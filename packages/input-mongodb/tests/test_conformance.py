"""The rules for plugins, held by the suites that the package ships."""

from penstock_input_mongodb.conformance import TestDouble

__all__ = ["TestDouble"]
