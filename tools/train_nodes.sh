#!/bin/sh
# Train one recipe on several machines: the same line on each of them, with the same HEAD.
#
#   HEAD=node0:29400 NODES=4 tools/train_nodes.sh configs/aigfd_paper.toml -o /shared/runs/aigfd
#
# NODES      how many machines; 2:4 for two at least, and those that join later up to four (default 1)
# PROCESSES  on each of them (default: one for each GPU)
# HEAD       machine and port where they meet, which must be reachable from all (default localhost:29400)
# RESTARTS   how often all processes are started anew when one has died, or a machine has gone or come (default 3)
# RUN        a name, where several runs meet at one HEAD
# PYTHON     the interpreter
#
# Run folder and pictures lie on disks that all machines share. After a restart the run goes on from its last
# checkpoint ([log] checkpoint_every in the recipe). Under Slurm: srun --ntasks-per-node 1 tools/train_nodes.sh ...
set -eu
# The store that torch 2.13 shares between rounds still holds the addresses of processes that died: gloo would call them.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes "${NODES:-1}" --nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-3}" \
    --rdzv-backend c10d --rdzv-endpoint "${HEAD:-localhost:29400}" --rdzv-id "${RUN:-cameraborn}" \
    -m cameraborn train "$@"
