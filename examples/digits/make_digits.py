#!/usr/bin/env python3
"""Makes digits.csv.gz from the copy of the UCI data that scikit-learn ships.

usage: make_digits.py sklearn/datasets/data/digits.csv.gz digits.csv.gz

Rows are shuffled (the source has writer after writer) and put in a fixed order in which every class is spread evenly, so
that any range of rows is stratified.
"""
import csv
import gzip
import hashlib
import sys

source, target = sys.argv[1:]
with gzip.open(source, "rt") as file:
    rows = [[int(float(value)) for value in row] for row in csv.reader(file)]
by_class = {}
for row in rows:
    by_class.setdefault(row[-1], []).append(row)
for members in by_class.values():
    members.sort(key=lambda row: hashlib.sha256(repr(row).encode()).digest())
# The k-th of n rows of a class goes to the place (k + 1/2) / n; ties by class.
placed = sorted(
    ((k + 0.5) / len(members), label, row)
    for label, members in by_class.items()
    for k, row in enumerate(members)
)
with open(target, "wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as file:
    header = [f"pixel_{y}_{x}" for y in range(8) for x in range(8)] + ["digit"]
    file.write((",".join(header) + "\n").encode())
    for _, _, row in placed:
        file.write((",".join(map(str, row)) + "\n").encode())
