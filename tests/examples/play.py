"""Plays on examples/client.py the command in each line of the input, and prints a line for each outcome."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from examples.client import Client

client = Client(sys.argv[1], Path(sys.argv[2]), seconds=5)
METHODS: dict[str, Any] = {"logIn": client.log_in, "logOut": client.log_out, "call": client.call}


def play(line: str) -> None:
    command, *arguments = json.loads(line)
    try:
        outcome = ["ok", METHODS[command](*arguments)]
    except Exception as error:
        outcome = [type(error).__name__, str(error), getattr(error, "code", "")]
    print(json.dumps(outcome) + "\n", end="", flush=True)  # in one piece


with ThreadPoolExecutor(8) as pool:
    for line in sys.stdin:
        pool.submit(play, line)
