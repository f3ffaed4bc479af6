"""``python -m studies --tables``: tables of all networks, from what the studies and packaged taggers have found."""

import argparse

from .overview import write_tables

parser = argparse.ArgumentParser(prog="python -m studies", description="Tables over all studies.")
parser.add_argument("--tables", action="store_true", required=True, help="write them into the pages")
parser.parse_args()
write_tables()
