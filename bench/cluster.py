"""Every planted bug of the catalogue, hunted on a dask cluster of two workers on this machine.

python bench/cluster.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from _clusters import local_dask
from _common import show


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executions", type=int, help="for each scenario, instead of what the demonstration has")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    few = () if options.executions is None else ("--executions", str(options.executions))
    program = Path(sys.executable).with_name("lab")
    with local_dask(options.workers) as dask:
        began = perf_counter()
        done = subprocess.run(
            [program, "hunt", "--dask", dask.address, "--json", *few], stdout=subprocess.PIPE, check=False
        )
        seconds = perf_counter() - began
    lines = json.loads(done.stdout)["results"]
    planted = [each for each in lines if each["kind"] == "planted"]
    missed = [each["target"] for each in planted if each["verdict"] != "fail"]
    wrong = [each["target"] for each in lines if each["kind"] == "right" and each["verdict"] != "pass"]
    result = {
        "workers": options.workers,
        "planted": len(planted),
        "found": len(planted) - len(missed),
        "missed": missed,
        "right_not_passed": wrong,
        "executions": sum(each["executions"] for each in lines),
        "seconds": round(seconds, 1),
        "status": done.returncode,
    }
    rows = [(key, value if not isinstance(value, list) else ", ".join(value) or "-") for key, value in result.items()]
    show(f"The catalogue on {options.workers} dask workers", ("what", "figure"), rows, result, as_json=options.json)
    return 1 if missed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
