"""Data: labels, sources, drawn faces, shards, the staging cache, sampler and batches."""
