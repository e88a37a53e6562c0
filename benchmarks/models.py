"""Networks beside the others: a step of training of each, and what it says about one example.

    python -m benchmarks.models                         # all networks: some 25 minutes
    python -m benchmarks.models alexnet_train ntm_train # these
    python -m benchmarks.models --quick --rivals jax torch
    python -m benchmarks.models --list                  # their names

The contest is the one of `benchmarks.compiled`: every rival a process of its own, the values
compared, turns taken round by round, floors from what the machine gave in the same rounds. Two
things are new. The first call, which compiles, has a goal in seconds; and the memory of AlexNet and
of a Transformer of 12 blocks is the most that a process held which did nothing else, imports and
compiling included, with the allocator as it is.

The results go to `benchmarks/results/` (not with --quick): `models.json` and the page `models.md`.
"""

from __future__ import annotations

from functools import partial

from .contest import program
from .contest.networks.workloads import NETWORKS
from .contest.page import Contest

MODELS = Contest("models", "Networks, side by side", NETWORKS, never=("torch.compile",))
main = partial(program.main, MODELS, (__doc__ or "").splitlines()[0])

if __name__ == "__main__":
    main()
