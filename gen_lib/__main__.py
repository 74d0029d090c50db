"""``python -m gen_lib``."""

from gen_lib.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
