"""A change for those who review it: checks, what changes, policies, cost, fit and rehearsal of every stack, in one comment."""
