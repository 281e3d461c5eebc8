"""Programs on the machines of an existing Ray cluster, which must share our files and our Python."""

import importlib.util
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from codesign.errors import ToolError
from codesign.sim.tool import Job, run_jobs

CONNECT_S = 10.0


def run_jobs_on_ray(
    jobs: Sequence[Job], address: str, *, cores: int, timeout_s: float
) -> Iterator[tuple[Job, ToolError | None]]:
    """Run programs that keep so many cores busy each, as run_jobs does, on the cluster at that address.

    "auto" is the cluster that this machine belongs to. Raises ToolError if ray is missing or no cluster is there.
    """
    ray = _joined(address)
    try:
        remote = ray.remote(num_cpus=cores, max_retries=0)(_outcome)
        pending = {remote.remote(job, timeout_s): job for job in jobs}
        try:
            while pending:
                (ended,), _ = ray.wait(list(pending), num_returns=1)
                job = pending.pop(ended)
                try:
                    yield job, ray.get(ended)
                except ray.exceptions.RayError as error:
                    said = str(error).strip().splitlines() or [type(error).__name__]
                    yield job, ToolError(f"ray: a worker was lost: {said[-1]}")
        finally:
            for left in pending:
                ray.cancel(left, force=True)
    finally:
        ray.shutdown()


def _joined(address: str) -> Any:
    """Return the module ray, connected."""
    if importlib.util.find_spec("ray") is None:
        raise ToolError("`codesign sweep --ray` needs ray, which is not installed: pip install 'codesign[ray]'")
    import ray

    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdecimal():  # ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, OverflowError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ToolError(f"ray: no cluster at {address!r}: {said[0]}; start one with `ray start --head`") from error
    return ray


def _outcome(job: Job, timeout_s: float) -> ToolError | None:
    """Run one program, on whichever machine this is."""
    ((_, error),) = run_jobs([job], at_once=1, timeout_s=timeout_s)
    return error
