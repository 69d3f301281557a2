"""`python -m benchmarks speed …`, and likewise `scoring`, `processes` and `costs`."""

import importlib
import sys

KINDS = ("speed", "scoring", "processes", "costs")

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in KINDS:
        sys.exit(importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
    sys.exit(f"benchmarks: name one of {', '.join(KINDS)}, such as `python -m benchmarks speed --help`")
