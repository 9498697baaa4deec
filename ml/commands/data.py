"""``python -m ml data``: list the collections, fetch one from its publisher, check one for faults and leaks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ml.data.check import check, lines, verdict
from ml.data.collections import COLLECTIONS
from ml.data.duplicates import BITS
from ml.data.fetch import fetch, told
from ml.data.readers import LAYOUTS
from ml.data.records import DataError


def run(arguments: Sequence[str]) -> int:
    """Do it; exit 0 when all is well, 1 with the reason on stderr when not, 2 on bad usage."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except DataError as error:
        print(error, file=sys.stderr)
        return 1


def _check(options: argparse.Namespace) -> int:
    with tqdm(desc="images", unit="image", disable=not sys.stderr.isatty()) as bar:

        def advance(total: int) -> None:
            bar.total = total
            bar.update()

        report = check(
            options.folders, layout=options.layout, look=not options.tables_only, near=options.near, advance=advance
        )
    print("\n".join(lines(report)))
    print(verdict(report), file=sys.stdout if report.sound else sys.stderr)
    return 0 if report.sound else 1


def _fetch(options: argparse.Namespace) -> int:
    collection = COLLECTIONS[options.name]
    if options.tell:
        print(told(collection, options.folder))
        return 0
    fetch(collection, options.folder, accept_licence=options.accept_licence, unpack=not options.keep_packed)
    print(f"{collection.title} is in {options.folder}. Cite: {collection.citation}")
    print(f"Check it: python -m ml data check {options.folder} --layout {collection.name}")
    return 0


def _list(options: argparse.Namespace) -> int:
    for collection in COLLECTIONS.values():
        limit = "; research only" if collection.research_only else ""
        print(f"{collection.name} ({collection.modality}): {collection.title}")
        print(f"  licence: {collection.licence}{limit}")
        print(f"  address: {collection.address}")
        print(f"  folder: {collection.unpacked}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml data", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="the published collections, their licences and addresses")
    listing.set_defaults(act=_list)

    fetching = actions.add_parser("fetch", help="download a collection, or say what to do by hand")
    fetching.add_argument("name", choices=sorted(COLLECTIONS), metavar="NAME", help=", ".join(sorted(COLLECTIONS)))
    fetching.add_argument("folder", type=Path, metavar="DIR", help="receives the files")
    fetching.add_argument("--tell", action="store_true", help="only say where it comes from and what goes where")
    fetching.add_argument("--accept-licence", action="store_true", help="you have read the licence and accept it")
    fetching.add_argument("--keep-packed", action="store_true", help="do not unpack archives")
    fetching.set_defaults(act=_fetch)

    checking = actions.add_parser("check", help="counts, copies, label conflicts, leaks; exit 1 when one is found")
    checking.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="collections that are used together")
    checking.add_argument("--layout", choices=LAYOUTS, default="shared", help="how the folder is laid out")
    checking.add_argument("--tables-only", action="store_true", help="do not decode images (no search for copies)")
    checking.add_argument(
        "--near",
        type=_bits,
        metavar="BITS",
        help=f"differing bits of {BITS} up to which two images are one frame; by default as measured for the modality",
    )
    checking.set_defaults(act=_check)
    return parser


def _bits(text: str) -> int:
    value = int(text)
    if not 0 <= value <= BITS:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {BITS}")
    return value
