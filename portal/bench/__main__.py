"""``python -m portal.bench [site|history|dashboard|ledger|all]``: prints one table with n, median, p95 and the goal."""

from __future__ import annotations

import argparse
import os
import tempfile

import django


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m portal.bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=("site", "history", "dashboard", "ledger", "all"))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="senolens-bench-") as folder:
        os.environ.update(DEMO="1", DATA_DIR=folder, DJANGO_SETTINGS_MODULE="portal.settings")
        django.setup()
        # Models can be imported only after the set-up.
        from portal.bench import dashboard, history, ledger, site
        from portal.bench.table import print_table

        rows = []
        if options.what in ("site", "all"):
            rows += site.measure(warm=8, sustained=16) if options.quick else site.measure()
        if options.what in ("history", "all"):
            rows += history.measure(requests=10 if options.quick else 40)
        if options.what == "dashboard":
            # It fills the database by itself, as the history does: each has a run of its own.
            rows += dashboard.measure(requests=10 if options.quick else 40)
        if options.what in ("ledger", "all"):
            rows += ledger.measure(requests=10 if options.quick else 40)
        print_table(rows)


if __name__ == "__main__":
    main()
