"""Runs the queries in Microsoft's KQL of docs/SIEM.md over golden records, as two hosts would send them.

Usage: kql.py PROJECT

A query finds something among records that have what it looks for, and nothing among those of a host where nothing happened.
"""

import datetime
import json
import pathlib
import re
import sys

import duckdb
import duckdb_kql

TABLE = "Spoor_CL"
# What the golden night has one of, the queries want several of.
THRESHOLD = re.compile(r"^(\| where \w+ > )\d+$", re.MULTILINE)
# What no golden host is: one that fell silent.
NOTHING_TO_FIND = "Heard < ago"
# A host where nothing happened: it says that it runs, and signs that.
QUIET = [
    {"type": kind, "seq": number, "prev": str(number), "host": {}, **more}
    for number, (kind, more) in enumerate([("heartbeat", {}), ("head", {"head": {"key": "k"}}), ("heartbeat", {})], 1)
]


def rows(records, host):
    """Records as the transformation of the page puts them into the table."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for record in records:
        record = {**record, "host": {**record["host"], "id": host}}
        yield (now, host, f"name-{host}", record["seq"], record["type"],
               record.get("actor", {}).get("id"), record.get("chain"), json.dumps(record))


def table(records):
    """A database with the table of the page."""
    database = duckdb.connect()
    database.execute("set TimeZone = 'UTC'")
    database.execute(
        f"create table {TABLE} (TimeGenerated timestamptz, HostId text, HostName text, Number bigint, "
        "RecordType text, ActorId text, ChainId text, Record json)"
    )
    every = [row for name, some in records.items() for host in ("a", "b") for row in rows(some, f"{name}-{host}")]
    database.executemany(f"insert into {TABLE} values (?, ?, ?, ?, ?, ?, ?, ?)", every)
    return database


def ask(database, query):
    """How many rows a query finds."""
    schema = {TABLE: [column[0] for column in database.execute(f"describe {TABLE}").fetchall()]}
    return len(database.execute(duckdb_kql.to_sql(query, schema=schema)).fetchall())


def main():
    project = pathlib.Path(sys.argv[1])
    golden = sorted((project / "tests" / "golden" / "records").glob("*.jsonl"))
    records = {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in golden}
    page = (project / "docs" / "SIEM.md").read_text()
    blocks = re.findall(r"^```kql table\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    full, quiet = table(records), table({"quiet": QUIET})
    wrong = []
    for block in blocks:
        low = THRESHOLD.sub(r"\g<1>0", block)
        try:
            found, none = ask(full, low), ask(quiet, block)
        except Exception as error:  # whatever the translator or the database says
            wrong.append(f"{block}{error}")
            continue
        if (not found and NOTHING_TO_FIND not in block) or none:
            wrong.append(f"{block}finds {found} rows among the golden records, {none} on a host where nothing happened")
    if wrong or len(blocks) < 8:
        sys.exit("\n".join(wrong) or f"{len(blocks)} queries on the page")
    count = sum(len(some) for some in records.values())
    print(f"SIEM.md: {len(blocks)} queries in KQL ran over {count} golden records, each as of two hosts")


main()
