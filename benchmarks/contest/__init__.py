"""The contests of `benchmarks.compiled` and `benchmarks.models`: what is computed, and by whom.

workloads   what is computed: data, operations, bytes, goals
networks    whole networks: the same four modules for `benchmarks.models`
models      formulas that overbar and JAX share, written over a namespace
ours, in_jax, in_torch, peak   who computes it; each gives `TASKS`, by the workload's name
task        what they all give
worker      a process that runs one of them and answers over a pipe
rival       settings, and the processes
program     a contest from the arguments to the page
page        what is printed
"""
