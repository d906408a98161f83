"""What a rehearsal puts in the place of what, as the rehearsal's own table has it."""

from docs.generator.tables import table
from rehearsal.substitutions import TABLE


def substitutions_table() -> str:
    """Return one row a substitution."""
    rows = [(row.what, row.rehearsal, row.not_exercised) for row in TABLE]
    return table(("what", "in a rehearsal", "therefore not exercised"), rows)
