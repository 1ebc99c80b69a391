"""The findings of `diagnose`: one module a topic."""
