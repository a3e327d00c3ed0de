"""Under torchrun every sample comes exactly once in an epoch, also when a run goes on with other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from laconic import learn
from laconic.learn.order import epoch_order
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan

SECONDS = 500
# What a person would write: read, train in step, save where one stands. Every rank notes what it was given.
PROGRAM = """
import json, os, sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import laconic.learn as learn

data, notes, steps, epochs, workers = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.manual_seed(0)
dataset = learn.open(data)
loader = learn.loader(
    dataset, batch_size=3, seed=5, rank=rank, world=world, num_workers=workers, views="random", dtype="float32"
)
if (notes / "state.json").exists():
    loader.load_state_dict(json.loads((notes / "state.json").read_text()))
begun = loader.state_dict()
model = DistributedDataParallel(torch.nn.Linear(dataset[0].latents.numel(), len(dataset.classes)))
optimizer = torch.optim.SGD(model.parameters(), 1e-7)
given, total, taken = [], 0, 0
while loader.epoch < epochs and taken < steps:
    for batch in loader:
        given.append([loader.epoch, batch.indices.tolist()])
        loss = torch.nn.functional.cross_entropy(model(batch.latents.flatten(1)), batch.labels, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count = torch.tensor(len(batch.indices))
        dist.all_reduce(count)
        total, taken = total + int(count), taken + 1
        if taken == steps:
            break
weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
others = [torch.empty_like(weights) for _ in range(world)]
dist.all_gather(others, weights)
record = {"begun": begun, "given": given, "total": total, "equal": all(torch.equal(weights, o) for o in others)}
(notes / f"rank{rank}.json").write_text(json.dumps(record))
dist.barrier()
if rank == 0:
    (notes / "state.json").write_text(json.dumps(loader.state_dict()))
dist.destroy_process_group()
os._exit(0)  # threads of gloo that are still ending abort an interpreter that takes its time to end
"""


@pytest.fixture(scope="module")
def packed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 samples: neither two nor three processes with batches of 3 get the same number each."""
    folder = tmp_path_factory.mktemp("packed")
    assert pack(make_plan(str(pictures), shard_size=7, views=("center", "flip")), str(folder))
    return folder


def torchrun(packed: Path, notes: Path, processes: int, steps: int, epochs: int, workers: int = 0) -> list[Any]:
    """Run the program; return what each rank was given."""
    notes.mkdir(exist_ok=True)
    for old in notes.glob("rank*.json"):
        old.unlink()
    program = notes / "program.py"
    program.write_text(PROGRAM, "utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [*launcher, str(program), str(packed), str(notes), *map(str, (steps, epochs, workers))],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((notes / f"rank{rank}.json").read_text("utf-8")) for rank in range(processes)]
    assert all(rank["equal"] for rank in ranks)
    assert {rank["total"] for rank in ranks} == {sum(len(batch) for one in ranks for _, batch in one["given"])}
    assert len({len(rank["given"]) for rank in ranks}) == 1  # all ranks make the same number of steps
    return ranks


def samples_of(ranks: list[Any], epoch: int) -> list[int]:
    return [sample for rank in ranks for number, batch in rank["given"] if number == epoch for sample in batch]


def test_two_processes_see_every_sample_once_in_each_epoch(packed: Path, tmp_path: Path):
    ranks = torchrun(packed, tmp_path / "notes", processes=2, steps=100, epochs=2, workers=1)
    for epoch in (0, 1):
        assert sorted(samples_of(ranks, epoch)) == list(range(23))
    # Step by step the ranks together get what one process would.
    order = epoch_order(23, seed=5, epoch=0).tolist()
    for step in range(4):
        together = [rank["given"][step][1] for rank in ranks]
        assert set(together[0]).isdisjoint(together[1])
        assert sorted(together[0] + together[1]) == sorted(order[6 * step : 6 * step + 6])


def test_a_run_goes_on_with_other_processes_and_misses_nothing(packed: Path, tmp_path: Path):
    notes = tmp_path / "notes"
    first = torchrun(packed, notes, processes=2, steps=2, epochs=2)
    state = json.loads((notes / "state.json").read_text("utf-8"))
    assert (state["epoch"], state["samples"]) == (0, 12)
    # To the end of the epoch: of the last step two ranks get a sample each and the third gets an empty batch.
    second = torchrun(packed, notes, processes=3, steps=2, epochs=2)
    assert second[0]["begun"] == state
    assert [len(rank["given"][-1][1]) for rank in second] == [1, 1, 0]
    assert [len(samples_of(run, 0)) for run in (first, second)] == [12, 11]
    assert Counter(sample for run in (first, second) for sample in samples_of(run, 0)) == Counter(range(23))
    # And alone, a whole epoch more.
    loader = learn.loader(learn.open(str(packed)), batch_size=8, views="random")
    loader.load_state_dict(json.loads((notes / "state.json").read_text("utf-8")))
    assert loader.state_dict()["seed"] == 5
    assert not list(loader)  # nothing is left of the first epoch
    assert loader.epoch == 1
    assert sorted(sample for batch in loader for sample in batch.indices.tolist()) == list(range(23))
