"""Stands for the program `sqlite3` where it is not installed: runs one statement on a file."""

import sqlite3
import sys
from contextlib import closing

if __name__ == "__main__":
    path, statement = sys.argv[1:]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
