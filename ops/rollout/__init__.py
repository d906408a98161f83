"""`vp rollout`: brings a new release of a model in by steps, asks the measurements after each, and goes back by itself."""
