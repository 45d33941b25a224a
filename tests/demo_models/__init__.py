"""The demo models: a composer of training songs, and what trains small models on them.

Everything here is ours and seeded; no recording, no data set and no released weight is used.
"""
