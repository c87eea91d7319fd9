"""The rules for plugins, held by the suites that the package ships."""

from penstock_broker_kafka.conformance import (
    TestInput,
    TestInputOfPartitions,
    TestOutput,
    TestOutputToPartitions,
    TestPartitions,
    TestStreams,
)

__all__ = [
    "TestInput",
    "TestInputOfPartitions",
    "TestOutput",
    "TestOutputToPartitions",
    "TestPartitions",
    "TestStreams",
]
