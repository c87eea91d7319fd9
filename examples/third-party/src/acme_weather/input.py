"""The input `weather`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from penstock import RecordInput, component, option


@component
class WeatherInput(RecordInput):
    """Read the file of a weather station: each line is a time, a temperature and a wind."""

    path: Path = option(help="File to read.", example="oslo.txt")
    unit: str = option(default="°C", help="What the station measures temperatures in.")

    def records(self, skip: int) -> Iterator[dict[str, str]]:
        with self.path.open(encoding="utf-8") as file:
            for line in islice(file, skip, None):
                time, temperature, wind = line.split()
                yield {"time": time, "temperature": f"{temperature} {self.unit}", "wind": wind}
