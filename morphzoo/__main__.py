"""`python -m morphzoo`: the console command where no `morphzoo` is on the path."""

import sys

from morphzoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
