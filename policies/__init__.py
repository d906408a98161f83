"""The policy pack: what no stack may lack, whoever wrote it. `rules` is the pack; `__main__.py` is how Pulumi starts it."""
