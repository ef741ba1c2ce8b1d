"""``python -m bpfemu`` and the ``bpfemu`` command."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    # Start-up makes many objects that stay: looking for garbage among them only costs time.
    gc.set_threshold(50_000, 20, 20)
    from bpfemu.cli import run_cli

    sys.exit(run_cli(sys.argv[1:]))


if __name__ == "__main__":
    main()
