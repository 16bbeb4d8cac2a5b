"""A process with a pool and three agents, for a test that kills it: `small_engine.py STATE_DIR`. Prints their pids."""

import json
import sys
from pathlib import Path

import anyio

from performing.fleet import Directory, local_http, one_call, open_pool, stdio, tool


async def main() -> None:
    directory = Directory(stdio("hostile", "hostile.py"), stdio("breeder", "breeder.py"), local_http())
    async with open_pool(directory, Path(sys.argv[1])) as pool:
        hostile = (await tool(pool, "hostile", "environment")).value["pid"]
        child = (await tool(pool, "breeder", "any")).value["child"]
        served = (await pool.call("local", {"method": "GET", "path": "/x"}, {}, one_call())).value["pid"]
        breeder = next(health.pid for health in pool.health() if health.agent == "breeder")
        print(json.dumps([hostile, child, served, breeder]), flush=True)
        await anyio.sleep_forever()


anyio.run(main)
