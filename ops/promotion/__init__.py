"""`vp promote` and `vp rollback`: what one stack ran becomes what the next one runs, as a commit."""
