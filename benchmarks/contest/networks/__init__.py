"""The contestants of `benchmarks.models`: whole networks, trained and used.

workloads   what is computed: initial values by the names that our modules and PyTorch's share
ours, in_jax, in_torch   who computes it
"""
