"""W4 by hand: the bare driver at its best batch size, in one transaction."""

import csv
import sqlite3
import sys
from itertools import islice


def main(source: str, target: str) -> None:
    database = sqlite3.connect(target, isolation_level=None)
    with open(source, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = next(rows)
        database.execute("BEGIN")
        database.execute(f"CREATE TABLE rows ({', '.join(f'{name} TEXT' for name in names)})")
        insert = f"INSERT INTO rows VALUES ({', '.join('?' * len(names))})"
        while part := list(islice(rows, 1000)):
            database.executemany(insert, part)
        database.execute("COMMIT")
    database.close()


main(*sys.argv[1:])
