"""The tests. What they import is not looked through for garbage while it is imported, which takes a fifth of that time:
`conftest` turns the collector on again when all are collected."""

import gc

gc.disable()
