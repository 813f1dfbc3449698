"""`python -m vmapguide`: see `_cli`."""

import sys

from vmapguide._cli.main import main


if __name__ == "__main__":
    sys.exit(main())
