"""One capability per file: a component resource, its arguments, and pure functions that build its objects."""
