"""The rules, and what runs them. Needs Python's own library and, to be run by Pulumi, its package for policies: nothing else of ours."""
