"""The contestants of `benchmarks.compiled`: what is computed, and by whom.

workloads   what is computed: data, operations, bytes, goals
models      formulas that overbar and JAX share, written over a namespace
ours, in_jax, in_torch, peak   who computes it; each gives `TASKS`, by the workload's name
task        what they all give
worker      a process that runs one of them and answers over a pipe
page        what is printed
"""
