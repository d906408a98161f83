"""How fast the project is on this machine: `make bench`, or `python -m benchmarks`.

Every claim is a figure with an aim, and its ratio to a named baseline that was measured in the same run: figures
of two machines can not be compared, their ratios can.
"""
