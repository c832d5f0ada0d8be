"""Fitting a Gaussian mixture, beside scikit-learn's in one run: python benchmarks/mixture.py

`--samples 5000 --features 128 --seeds 2` for a short run. Each seed draws new features: clusters of different weights,
shapes and heavy tails around a spectrum that decays like a network's. Both fit K full covariances from the same k-means
start, to the same tolerance, without principal components, in float32 and in float64; the time includes the k-means.
What is measured:

- seconds, and scikit-learn's over ours. Expected: a ratio of at least 5. The processor's seconds beside them tell
  whether the machine did something else meanwhile: they are then fewer than the seconds times the threads.
- mean log-likelihood of held-out samples, in nats a feature. Expected: ours at most 0.01 lower.
- operations: additions and multiplications of the matrix products. scikit-learn's by the formula 4 K N D^2 a step, plus
  4 K N D^2 for its start and end; ours as counted, N D (D + 1) for a covariance of N samples and for N times a
  triangular factor, 2 N a b for a columns of N samples times b of a factor.
- share: operations a second, of those of a product of two large matrices, measured in the same run in the same
  precision.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import processor, write_table
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from cameraborn.detect.evidence.density import fit_mixture
from cameraborn.detect.evidence.em import Fit

RESULTS = Path(__file__).resolve().parent / "results" / "mixture.csv"
TOL, MAX_ITER = 1e-3, 100  # scikit-learn's own
Features = NDArray[np.floating]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=25_000, help="to fit")
    parser.add_argument("--held-out", type=int, default=5_000, help="samples to measure on")
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "float64"], nargs="+", default=["float32", "float64"])
    parser.add_argument("--torch", metavar="DEVICE", help="fit with torch there too, say cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    for fit in (scikit_learn, cameraborn):  # so that what is loaded once is in nobody's time
        fit(draw(200, 8, seed=0), 2, seed=0)
    measured = [row for seed in range(options.seeds) for row in compare(seed, options)]
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    write_table(measured, options.output, machine=machine)


def compare(seed: int, options: argparse.Namespace) -> Iterator[Row]:
    """One draw of features, fitted by each in each precision."""
    features = draw(options.samples + options.held_out, options.features, seed)
    for dtype in options.dtype:
        x, fresh = np.split(features.astype(dtype), [options.samples])
        theirs = timed("scikit-learn", scikit_learn, x, fresh, options.components, seed)
        theirs["share"] = share(theirs, gemm_speed(np, np.asarray, dtype))
        yield finished(theirs, theirs)
        ours = timed("cameraborn", cameraborn, x, fresh, options.components, seed)
        ours["share"] = share(ours, gemm_speed(np, np.asarray, dtype))
        yield finished(ours, theirs)
        if options.torch:
            import torch

            def place(array: Features) -> Any:  # noqa: ANN401 (a tensor)
                return torch.asarray(array, device=options.torch)

            there = timed(
                f"cameraborn, torch {options.torch}",
                cameraborn,
                place(x),
                fresh,
                options.components,
                seed,
                torch,
            )
            there["share"] = share(there, gemm_speed(torch, place, dtype))
            yield finished(there, theirs)


def draw(count: int, width: int, seed: int) -> NDArray[np.float64]:
    """Clusters of features [count width] around a spectrum that falls like 1 / rank."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, width + 1) ** -0.5
    clusters = 12
    of = rng.choice(clusters, size=count, p=rng.dirichlet(np.full(clusters, 5.0)))
    centres = rng.normal(size=(clusters, width)) * spread
    shapes = np.exp(0.4 * rng.normal(size=(clusters, width))) * spread
    tails = np.sqrt(10 / rng.chisquare(10, size=(count, 1)))  # Student's t of 10 degrees of freedom
    axes, _ = np.linalg.qr(rng.normal(size=(width, width)))
    features: NDArray[np.float64] = (
        centres[of] + rng.normal(size=(count, width)) * shapes[of] * tails
    ) @ axes
    return features


def scikit_learn(x: Features, components: int, seed: int) -> tuple[Callable[[Features], Features], int, int]:
    model = GaussianMixture(components, random_state=seed, tol=TOL, max_iter=MAX_ITER).fit(x)
    N, D = x.shape
    return model.score_samples, model.n_iter_, 4 * (model.n_iter_ + 1) * components * N * D**2


def cameraborn(
    x: Any,  # noqa: ANN401 (of any namespace)
    components: int,
    seed: int,
    xp: Any = np,  # noqa: ANN401
) -> tuple[Callable[[Features], Features], int, int]:
    fits: list[Fit] = []
    mixture = fit_mixture(
        x,
        components=components,
        dimensions=None,
        n_init=1,
        tol=TOL,
        max_iter=MAX_ITER,
        seed=seed,
        xp=xp,
        report=fits.append,
    )
    return mixture.log_likelihood, len(fits[0].bounds), fits[0].operations


def timed(name: str, fit: Callable[..., Any], x: Any, fresh: Features, *arguments: Any) -> Row:  # noqa: ANN401
    row: Row = {"what": name, "samples": len(x), "features": x.shape[1], "components": arguments[0]}
    row |= {"seed": arguments[1], "dtype": fresh.dtype.name}
    started, busy = time.perf_counter(), time.process_time()
    try:
        score, row["steps"], row["operations"] = fit(x, *arguments)
    except ValueError as error:  # as scikit-learn's when float32 cannot hold a covariance
        nothing = dict.fromkeys(("seconds", "processor", "held_out"), float("nan"))
        return row | nothing | {"steps": 0, "operations": 0, "error": str(error)}
    row |= {"seconds": time.perf_counter() - started, "processor": time.process_time() - busy}
    row["held_out"] = float(np.mean(score(fresh))) / fresh.shape[1]
    return row | {"error": ""}


def gemm_speed(xp: Any, place: Callable[[Features], Any], dtype: str, size: int = 2048) -> float:  # noqa: ANN401
    """Operations a second of a product of two large matrices, the best of five."""
    a = place(np.random.default_rng(0).normal(size=(size, size)).astype(dtype))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        float((a @ a)[0, 0])  # waits for a device
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def share(row: Row, speed: float) -> float:
    return float(row["operations"] / row["seconds"] / speed)


def finished(row: Row, theirs: Row) -> Row:
    """The row as it is written, with the comparison."""
    line = {
        **{
            name: row[name]
            for name in ("what", "samples", "features", "components", "seed", "dtype", "steps")
        },
        "seconds": f"{row['seconds']:.3f}",
        "processor_seconds": f"{row['processor']:.3f}",
        "ratio": f"{theirs['seconds'] / row['seconds']:.2f}",
        "held_out_nats_a_feature": f"{row['held_out']:.5f}",
        "held_out_difference": f"{row['held_out'] - theirs['held_out']:.5f}",
        "gigaoperations": f"{row['operations'] / 1e9:.1f}",
        "share_of_matrix_speed": f"{row['share']:.3f}",
        "error": row["error"],
    }
    print("  ".join(f"{name} {value}" for name, value in line.items() if value != ""), flush=True)
    return line


if __name__ == "__main__":
    main()
