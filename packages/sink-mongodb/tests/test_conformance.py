"""The rules for plugins, held by the suites that the package ships."""

from penstock_sink_mongodb.conformance import TestReplicaSet, TestStandalone

__all__ = ["TestReplicaSet", "TestStandalone"]
