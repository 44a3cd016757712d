"""Reads the board that ships by the library that Grafana makes of its own schemas. What that cannot hold, Grafana does not know.

Usage: board.py DEPLOY
"""

import copy
import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(given, kept, path=""):
    """Where what was given is not what was kept, key by key."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key} is in no schema: {value!r}"
            else:
                yield from differences(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept)):
            yield from differences(one, other, f"{path}[{number}]")
    elif given != kept:
        yield f"{path} is {given!r}, and is read as {kept!r}"


def read(board):
    """All that is wrong with a board."""
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(board))))
    return list(differences(board, kept))


def main():
    register_default_plugins()
    path = pathlib.Path(sys.argv[1]) / "grafana" / "spoor.json"
    board = json.loads(path.read_text())
    wrong = read(board)
    if wrong:
        sys.exit(f"{path}:\n" + "\n".join(wrong))
    # The library has to mind: keys that it does not know, of the board and of a panel's query, must be noticed.
    panel = next(one for one in board["panels"] if one.get("targets"))
    for place in (board, panel, panel["targets"][0]):
        place["no_such_key"] = 1
        if not read(board):
            sys.exit("a board with a key that there is not was not noticed")
        del place["no_such_key"]
    print(f"{path.name}: {len(board['panels'])} panels, as Grafana's schemas have them")


main()
