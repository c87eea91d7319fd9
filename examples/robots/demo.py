"""Puts the positions of two robots into streams, runs a pipeline on them, and shows its results.

    python demo.py          on the embedded broker
    python demo.py kafka    on Kafka, into MongoDB: KAFKA and MONGODB say where they are

With `typed` as a second word, the function in typed.py does what the pipeline file says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from typed import run_typed

from penstock import Broker, Output, run
from penstock_fields import Fields
from penstock_input_csv import CsvInput

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
ROBOTS = ("red", "blue")


def main(words: list[str]) -> int:
    place: Embedded | OnKafka = OnKafka() if "kafka" in words else Embedded()
    there = place.clear()
    for robot in ROBOTS:
        if place.stream(robot) in there:
            continue
        whole = Fields(cast={"time": "int", "x": "int", "y": "int"})
        stream = place.broker().output(place.stream(robot), end_of_stream=True)
        run(
            CsvInput(path=HERE / f"{robot}.csv"),
            whole,
            stream,
            name=f"publish-{place.stream(robot)}",
        )
    if "typed" in words:
        for robot in ROBOTS:
            run_typed(place.broker(), place.stream(robot), place.output())
        ended = 0
    else:
        command = [sys.executable, "-m", "penstock", "run", HERE / place.pipeline, "--fresh"]
        ended = subprocess.run(command, check=False).returncode
    for minute in sorted(place.minutes(), key=lambda one: (one["robot"], one["start"])):
        print(json.dumps(minute))
    return ended


class Embedded:
    """Streams in a folder, results in a file."""

    pipeline = "pipeline.yaml"

    def clear(self) -> set[str]:
        """Forget what the last demo did, and say which streams are there."""
        shutil.rmtree(OUT, ignore_errors=True)
        return set()

    def broker(self) -> Broker:
        from penstock_broker_file import FileBroker

        broker: Broker = FileBroker(path=OUT / "streams")
        return broker

    def stream(self, robot: str) -> str:
        return robot

    def output(self) -> Output:
        from penstock_sink_json import JsonOutput

        return JsonOutput(path=OUT / "minutes.jsonl", mode="append")

    def minutes(self) -> list[dict[str, Any]]:
        lines = (OUT / "minutes.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


class OnKafka:
    """Topics of Kafka, results in a collection of MongoDB."""

    pipeline = "kafka.yaml"

    def __init__(self) -> None:
        self.kafka = os.environ.get("KAFKA", "localhost:9092")
        self.mongodb = os.environ.get("MONGODB", "mongodb://localhost:27017/?replicaSet=rs0")
        self.database = os.environ.get("DATABASE", "robots")
        self.topics = os.environ.get("TOPICS", "robots")

    def clear(self) -> set[str]:
        """Forget the results of the last demo, and say which topics are there."""
        from kafka import KafkaAdminClient
        from pymongo import MongoClient

        client: Any = MongoClient(self.mongodb)
        client.drop_database(self.database)
        client.close()
        admin = KafkaAdminClient(bootstrap_servers=self.kafka)
        topics = set(admin.list_topics())
        admin.close()
        return topics

    def broker(self) -> Broker:
        from penstock_broker_kafka import KafkaBroker

        broker: Broker = KafkaBroker(bootstrap=self.kafka, create_topics=True)
        return broker

    def stream(self, robot: str) -> str:
        return f"{self.topics}.{robot}"

    def output(self) -> Output:
        from penstock_sink_mongodb import MongoOutput

        return MongoOutput(
            uri=self.mongodb,
            database=self.database,
            collection="minutes",
            key=["robot", "start"],
        )

    def minutes(self) -> list[dict[str, Any]]:
        from pymongo import MongoClient

        client: Any = MongoClient(self.mongodb)
        found: list[dict[str, Any]] = list(client[self.database]["minutes"].find({}, {"_id": 0}))
        client.close()
        return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
