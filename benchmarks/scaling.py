"""A model of a training step on many ranks: what data parallelism, ZeRO and full sharding cost.

``python -m benchmarks --only scaling`` compares the model with real ranks on this machine, and then prints what it says
for 8 to 4,096 ranks on networks of 25, 100 and 400 Gbit/s. Nothing beyond this machine is measured.

The model knows a step's figures (seconds of forward, backward and update, bytes of each layer) and those of a network
(latency and bandwidth). Exchanges of one rank go one after the other. They run beside the computation if
`Workload.overlaps`, or else between its parts: a rank on a CPU moves its data itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

RANKS = (8, 64, 512, 4096)
GIGABITS = (25, 100, 400)
BUCKET = 25e6  # bytes of a bucket of gradients


# -- networks ----------------------------------------------------------------------------------------------------------
class Network(Protocol):
    """Something that knows how long an exchange takes."""

    def seconds(self, exchange: str, ranks: int, size: float) -> float:
        """Seconds of "all_reduce", "reduce_scatter" or "all_gather"; `size` is the bytes of the whole array."""


class Link(NamedTuple):
    """A connection: seconds until a message arrives, and bytes a second."""

    latency: float
    bandwidth: float


@dataclass(frozen=True)
class Cluster:
    """Nodes of several ranks. All ranks of a node share one connection to the other nodes.

    Attributes
    ----------
    inside, between : Link
        The connection of a rank to the others of its node, and that of a node to the other nodes.
    ranks_per_node : int
        Ranks 0 to ``ranks_per_node - 1`` are the first node's, and so on.
    algorithm : str
        "ring": every rank passes parts on to its neighbour. "halving": ranks exchange halves with partners in rising
        distance, as MPICH does where ranks are numbered node by node. "scattered": the same where they are numbered
        across the nodes, so that the largest halves go through the network. "hierarchical": inside the nodes first,
        then each part between the nodes. "best": the fastest of "ring" and "halving".
    """

    inside: Link
    between: Link
    ranks_per_node: int = 8
    algorithm: str = "best"

    def seconds(self, exchange: str, ranks: int, size: float) -> float:
        """Seconds of an exchange."""
        if ranks == 1:
            return 0.0
        if self.algorithm == "best":
            half = min(self._half(name, ranks, size) for name in ("ring", "halving"))
        else:
            half = self._half(self.algorithm, ranks, size)
        return 2 * half if exchange == "all_reduce" else half

    def _half(self, algorithm: str, ranks: int, size: float) -> float:
        """A reduce_scatter, or an all_gather, which takes as long. An all_reduce is one after the other."""
        local = min(ranks, self.ranks_per_node)
        nodes = math.ceil(ranks / local)
        inside, between = self.inside, self.between
        if algorithm == "ring":
            if nodes == 1:
                return (ranks - 1) * (inside.latency + size / ranks / inside.bandwidth)
            slowest = min(inside.bandwidth, between.bandwidth)
            return (ranks - 1) * (between.latency + size / ranks / slowest)
        steps = math.ceil(math.log2(local)) * inside.latency + math.ceil(math.log2(nodes)) * between.latency
        if algorithm == "scattered":  # all ranks of a node send their halves through its one connection
            largest = local * size * (1 - 1 / nodes) / between.bandwidth
            return steps + largest + size / nodes * (1 - 1 / local) / inside.bandwidth
        return steps + size * (1 - 1 / local) / inside.bandwidth + size * (1 - 1 / nodes) / between.bandwidth


class Measured:
    """A network of which the times of some sizes are known, such as this machine's memory.

    Parameters
    ----------
    times : mapping
        Number of ranks -> name of the exchange -> bytes of the whole array -> seconds, as `exchange.figures` returns.
    """

    def __init__(self, times: Mapping[int, Mapping[str, Mapping[int, float]]]):
        self._times = times

    def seconds(self, exchange: str, ranks: int, size: float) -> float:
        """Seconds of an exchange, on a straight line between the two nearest sizes."""
        if ranks == 1:
            return 0.0
        known = sorted(self._times[ranks][exchange].items())
        index = next((i for i, (larger, _) in enumerate(known) if larger >= size), len(known) - 1)
        (x0, y0), (x1, y1) = known[max(index, 1) - 1], known[max(index, 1)]
        return max(0.0, y0 + (size - x0) / (x1 - x0) * (y1 - y0))


# -- steps -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Workload:
    """A training step on one rank.

    Attributes
    ----------
    forward, backward, update : float
        Seconds on one rank, with the batch of one rank.
    layers : sequence of float
        Bytes of the parameters of each layer, in the order of forward. Time is spread over the layers by their bytes.
    state : float
        Bytes of the optimizer's state for each byte of parameters: 2 for Adam, 1 for SGD with momentum.
    activations : float
        Bytes that one rank keeps from forward for backward.
    overlaps : bool
        Whether exchanges go on while the rank computes.
    """

    forward: float
    backward: float
    update: float
    layers: Sequence[float]
    state: float = 2.0
    activations: float = 0.0
    overlaps: bool = True

    @property
    def alone(self) -> float:
        """Seconds of a step without other ranks."""
        return self.forward + self.backward + self.update

    @property
    def parameters(self) -> float:
        """Bytes of all parameters."""
        return sum(self.layers)

    def shares(self) -> list[float]:
        """The share of the time that each layer takes."""
        return [layer / self.parameters for layer in self.layers]


class Cost(NamedTuple):
    """Seconds of a step, how many of them the rank only waits for exchanges, and the bytes that it holds."""

    seconds: float
    waiting: float
    memory: float


def buckets(layers: Sequence[float], limit: float = BUCKET) -> list[tuple[float, float]]:
    """For each bucket of gradients: the share of backward after which it is full, and its bytes."""
    out, size, done, total = [], 0.0, 0.0, sum(layers)
    for layer in reversed(layers):
        size += layer
        done += layer
        if size >= limit:
            out.append((done / total, size))
            size = 0.0
    return [*out, (1.0, size)] if size else out


def _until_exchanged(work: Workload, network: Network, ranks: int) -> float:
    """Seconds until all gradients are reduced, from the beginning of the step."""
    computed = work.forward + work.backward
    now = 0.0  # when the last exchange ends
    for share, size in buckets(work.layers):
        needed = network.seconds("all_reduce", ranks, size)
        ready = work.forward + share * work.backward if work.overlaps else computed
        now = max(now, ready) + needed
    return max(now, computed)


def ddp(work: Workload, network: Network, ranks: int) -> Cost:
    """DistributedDataParallel: gradients are reduced bucket by bucket while backward goes on."""
    exchanged = _until_exchanged(work, network, ranks)
    memory = work.parameters * (2 + work.state) + work.activations
    return Cost(exchanged + work.update, exchanged - work.forward - work.backward, memory)


def zero(work: Workload, network: Network, ranks: int) -> Cost:
    """ZeroRedundancyOptimizer: as `ddp`, but each rank updates its part, and the parts are gathered afterwards."""
    exchanged = _until_exchanged(work, network, ranks)
    gathered = network.seconds("all_gather", ranks, work.parameters)
    memory = work.parameters * (2 + work.state / ranks) + work.activations
    waiting = exchanged - work.forward - work.backward + gathered
    return Cost(exchanged + work.update / ranks + gathered, waiting, memory)


def sharded(work: Workload, network: Network, ranks: int) -> Cost:
    """fully_shard: each layer is gathered before its forward and its backward, and its gradients are scattered."""
    shares = work.shares()
    order = [*range(len(shares)), *reversed(range(len(shares)))]
    gathers = [network.seconds("all_gather", ranks, work.layers[layer]) for layer in order]
    scatters = [network.seconds("reduce_scatter", ranks, work.layers[layer]) for layer in order[len(shares) :]]
    if work.overlaps:
        finished = _pipelined(work, order, gathers, scatters)
    else:
        finished = work.forward + work.backward + sum(gathers) + sum(scatters)
    whole = min(work.parameters, 2 * max(work.layers)) if ranks > 1 else 0.0  # the layers that are gathered at a time
    memory = work.parameters * (2 + work.state) / ranks + whole + work.activations
    return Cost(finished + work.update / ranks, finished - work.forward - work.backward, memory)


def _pipelined(work: Workload, order: Sequence[int], gathers: Sequence[float], scatters: Sequence[float]) -> float:
    """Seconds until all gradients are scattered. A layer is gathered while the one before it computes."""
    shares = work.shares()
    computed, free = 0.0, gathers[0]  # when the rank, and when the network, have done what they were given
    ready = free  # when the layer of this position is gathered
    for position, layer in enumerate(order):
        begun = max(computed, ready)
        if position + 1 < len(order):
            free = ready = max(free, begun) + gathers[position + 1]
        backward = position - len(shares)
        computed = begun + shares[layer] * (work.forward if backward < 0 else work.backward)
        if backward >= 0:
            free = max(free, computed) + scatters[backward]
    return max(computed, free)


METHODS = {"DDP": ddp, "ZeRO": zero, "full sharding": sharded}


def transformer(parameters: float, layers: int, tokens: int, flops: float, activations: float) -> Workload:
    """A transformer's step with Adam in float32.

    It computes 2 operations for each parameter and token in forward, and 4 in backward.

    Parameters
    ----------
    parameters : float
        How many.
    layers : int
        Blocks; the parameters are spread evenly over them.
    tokens : int
        In the batch of one rank.
    flops : float
        Operations a second that a rank reaches.
    activations : float
        Bytes that a rank keeps for backward.
    """
    forward = 2 * parameters * tokens / flops
    update = 28 * parameters / 2e12  # reads 4 numbers of 4 bytes and writes 3, at 2 TB/s
    return Workload(forward, 2 * forward, update, [4 * parameters / layers] * layers, 2.0, activations)


# -- clusters that are not here ----------------------------------------------------------------------------------------
#: Assumptions, not measured: 8 GPUs a node, of which each reaches 150 GB/s to the others of its node, and nodes that
#: reach nine tenths of their network's nominal bandwidth. A message takes 8 us inside a node, and 15 us between nodes.
INSIDE = Link(8e-6, 150e9)
REACHED, BETWEEN_LATENCY = 0.9, 15e-6
#: A GPU that reaches 100 TFLOP/s, with 8 texts of 1,024 tokens in its batch.
WORKLOADS = {
    "a GPT of 124 M parameters": transformer(124e6, 12, 8 * 1024, 100e12, 12e9),
    "a GPT of 1.3 G parameters": transformer(1.3e9, 24, 8 * 1024, 100e12, 45e9),
}


def cluster(gigabits: float, algorithm: str = "best") -> Cluster:
    """Nodes with connections of this nominal bandwidth in Gbit/s."""
    return Cluster(INSIDE, Link(BETWEEN_LATENCY, REACHED * gigabits / 8 * 1e9), 8, algorithm)


def tables() -> str:
    """What the model says for clusters."""
    lines = []
    for title, work in WORKLOADS.items():
        lines.append(
            f"\n{title}, Adam, float32: {work.alone * 1e3:.0f} ms a step on one GPU. Step, share of the rank's time"
        )
        lines.append("that is not spent waiting, and memory, by the model (nothing of this is measured)")
        lines.append("  Gbit/s  ranks" + "".join(f"{name:>28}" for name in METHODS))
        for gigabits in GIGABITS:
            for ranks in RANKS:
                cells = []
                for method in METHODS.values():
                    cost = method(work, cluster(gigabits), ranks)
                    used = 1 - cost.waiting / cost.seconds
                    cells.append(f"{cost.seconds * 1e3:9.0f} ms {used:5.0%} {cost.memory / 1e9:5.1f} GB")
                lines.append(f"  {gigabits:6} {ranks:6}" + "".join(f"{cell:>28}" for cell in cells))
    lines.append(f"\nall_reduce of a bucket of {BUCKET / 1e6:.0f} MB in ms, by the model")
    names = ("ring", "scattered", "halving", "hierarchical")
    lines.append("  Gbit/s  ranks" + "".join(f"{name:>14}" for name in names))
    for gigabits in GIGABITS:
        for ranks in RANKS:
            times = [cluster(gigabits, name).seconds("all_reduce", ranks, BUCKET) for name in names]
            lines.append(f"  {gigabits:6} {ranks:6}" + "".join(f"{once * 1e3:14.2f}" for once in times))
    return "\n".join(lines)
