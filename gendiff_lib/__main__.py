"""`python -m gendiff_lib` is `gendiff`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
