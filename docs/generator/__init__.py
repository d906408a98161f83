"""Writes the parts of the documentation that follow from the code, so that they can not go stale.

`python -m docs.generator` rewrites them, `python -m docs.generator --check` says which ones differ.
"""
