"""Whole data sets at a glance: running sums over results that come one after the other."""
