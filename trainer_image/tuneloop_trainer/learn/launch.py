"""The processes that train together: torchrun's own agent, one a pod, which starts one process a GPU and ends them all when one fails."""

import sys
from collections.abc import Mapping

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tuneloop_contracts.jobs import INDEX_ENV, MASTER_ENV, MASTER_PORT, TrainConfig

MEETING = 900
"""Seconds that pods wait for one another: until the last has a node and its image."""


def launch(config: TrainConfig, env: Mapping[str, str]) -> int:
    """Gives the exit code: of the process that failed first, so that what needs an edit is not tried again. 0 if none did."""
    try:
        elastic_launch(_launch_config(config, env), sys.executable)("-m", "tuneloop_trainer", "train")
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code > 0 else 128 - code
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _launch_config(config: TrainConfig, env: Mapping[str, str]) -> LaunchConfig:
    """Several pods meet at the first one's name; the processes of one alone at a port that is free."""
    alone = config.workers.nodes == 1
    return LaunchConfig(
        min_nodes=config.workers.nodes,
        max_nodes=config.workers.nodes,
        nproc_per_node=config.workers.per_node,
        run_id=config.job_uid or "tuneloop",
        rdzv_backend="c10d" if alone else "static",
        rdzv_endpoint="localhost:0" if alone else f"{env[MASTER_ENV]}:{MASTER_PORT}",
        rdzv_configs={"timeout": MEETING} | ({} if alone else {"rank": int(env[INDEX_ENV])}),
        max_restarts=0,
        monitor_interval=0.1,
    )
