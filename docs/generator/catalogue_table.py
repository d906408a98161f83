"""The ready models, as a table."""

from docs.generator.tables import table
from ops.catalogue import COLUMNS, rows


def catalogue_table() -> str:
    """Return one row a ready model, as Markdown."""
    columns = [column.removeprefix(">") for column in COLUMNS]
    return table(columns, [(f"`{name}`", *others) for name, *others in (row.cells() for row in rows())])
