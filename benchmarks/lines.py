"""Results as JSON lines: results in the file are not computed again, and an interrupted run loses nothing."""

import json
from pathlib import Path


class Lines(list[dict]):
    """The rows of a file of results; empty if there is no file."""

    def __init__(self, path: Path) -> None:
        super().__init__(map(json.loads, path.read_text().splitlines()) if path.exists() else ())
        self.path = path

    def add(self, row: dict) -> dict:
        """Append a row here and to the file. Returns the row as read from the file."""
        line = json.dumps(row)
        with self.path.open("a") as file:
            file.write(line + "\n")
        self.append(json.loads(line))
        return self[-1]

    def holds(self, **key: object) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(name) == value for name, value in key.items()) for row in self)
