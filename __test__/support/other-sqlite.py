"""Answers questions with the SQLite inside Python: reads them as JSON from stdin, writes the answers as JSON to stdout."""

import json
import math
import sqlite3
import sys

FUNCTIONS = {
    "asin": (1, math.asin),
    "cos": (1, math.cos),
    "pow": (2, math.pow),
    "radians": (1, math.radians),
    "sin": (1, math.sin),
    "sqrt": (1, math.sqrt),
}


def open_for_reading(path):
    """Opens the database, and adds the math functions if this SQLite was built without them."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("SELECT " + ", ".join(f"{name}({', '.join('0' * count)})" for name, (count, _) in FUNCTIONS.items()))
    except sqlite3.OperationalError:
        for name, (count, function) in FUNCTIONS.items():
            connection.create_function(name, count, function, deterministic=True)
    return connection


def answer(connection, question):
    """Returns the rows as objects, their keys in the order of the columns."""
    cursor = connection.execute(question["sql"], question.get("params", {}))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row)) for row in cursor]


def main():
    request = json.load(sys.stdin)
    connection = open_for_reading(request["file"])
    try:
        json.dump([answer(connection, question) for question in request["questions"]], sys.stdout)
    finally:
        connection.close()


main()
