"""Every rival beside every channel of ours: trained under one lottery, measured on dev and on families left out.

    python benchmarks/rivals.py --campaign WORK --shared SHARED --dev runs/dev.jsonl --work runs/rivals \\
        --lite efficientnet-lite0.safetensors --autoencoders FOLDER \\
        --minutes 4 --left-out-minutes 2 --ours RUN OTHER_RUN -o benchmarks/results

`WORK` is the folder of benchmarks/campaign, with cache, held_out.json, calibration.jsonl, propensity.npy, evaluation
and, for our own network with families left out, the runs that `--ours` names. The weights are those of `cameraborn
import-checkpoint`; `FOLDER` has two files of each tiny autoencoder, called after their layouts, such as
taesd-encoder.safetensors. It writes rivals.csv and rivals_left_out.csv. Interrupt and repeat it as you like: what is
made, trained or measured is not done again.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = (
    HERE / "rivals",
    HERE / "campaign",
)  # this comparison's files, and the cache and evaluation that it uses

if __name__ == "__main__":
    assert __doc__ is not None
    sys.path.extend(map(str, PARTS))
    from comparison import main

    main(__doc__.splitlines()[0])
