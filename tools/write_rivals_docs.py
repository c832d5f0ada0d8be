"""Write docs/rivals.md from the registries of rivals, encoders and layouts: python tools/write_rivals_docs.py"""

from collections.abc import Iterator
from pathlib import Path

from cameraborn.rivals import ENCODERS, LAYOUTS, RIVALS
from cameraborn.rivals.cost import cost_of
from cameraborn.rivals.published import Published, without_memory
from cameraborn.rivals.recipe import RivalRecipe

ROOT = Path(__file__).resolve().parents[1]
PAGE, RECIPES = ROOT / "docs" / "rivals.md", ROOT / "configs" / "rivals"
INTRODUCTION = """# Rivals, and encoders of others

Written by `python tools/write_rivals_docs.py` from the registries; do not edit.

Published detectors (rivals) and encoders, written anew here, so that a benchmark can list them beside our detectors.
None comes with weights. Weights of their authors are imported, or a recipe trains them on pictures of yours; without
weights nothing is scored.

```bash
cameraborn import-checkpoint NPR.pth --layout npr -o runs/weights/npr.safetensors
cameraborn train configs/rivals/gramnet.toml -o runs/gramnet
cameraborn bench tables configs/bench_rivals.toml
cameraborn bench table2 configs/bench_dev.toml --encoder farl --weights runs/weights/farl.safetensors
```

In the configuration of a benchmark (see [benchmark.md](benchmark.md)):

```toml
detectors = [
  "default",
  {rival = "npr", weights = ["runs/weights/npr.safetensors"]},
  {rival = "gramnet", weights = ["runs/gramnet/network.safetensors"]},
  {encoder = "farl", weights = ["runs/weights/farl.safetensors"]},
]
```

A rival whose name goes on behind another's is a variant of it: `lgrad-resnet50` reads the gradients of any
discriminator in torchvision's layout of ResNet-50 in the place of StyleGAN's, `reconstruction-taef2` what FLUX.2's tiny
autoencoder makes of a picture. In Python `LGrad(function=...)`, `Dire(noise=...)` and `Dire(reconstruct=...)` take what
you give them, such as the schedulers of diffusers (extra `[diffusion]`), and are called `lgrad*` and `dire*`. A recipe
starts from nothing; `start = "FILE"` names ImageNet's weights to start from, where its authors do.

A rival sees the largest face, cut as for a bundle, or with `whole_image = true` the picture as it is, which is what its
authors do. It decides by held-out photographs (`[calibration]`, or those of `[protocol]`), so that rates can be
compared; the row `NAME (own threshold)` is the same scores, flagged where generated is likelier than not. An encoder's
features go into the mixture of `--protocol aigfd`. What those that can be trained reach on our pictures stands in
[rivals_measured.md](rivals_measured.md). Multiply-adds are those of one face of 256 pixels, all passes together.
Licences are those that their authors give; read them before you use weights.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            INTRODUCTION,
            "## At a glance\n",
            *glance(),
            "\n## Rivals",
            *(line for name in RIVALS for line in section(name)),
            "\n## Encoders",
            *(line for name in ENCODERS for line in section(name)),
            "\n## Layouts of `import-checkpoint`\n",
            *layouts(),
            "",
        ]
    )


def glance() -> Iterator[str]:
    """A line each: kind, paper, parameters, input, what must be had."""
    yield "| name | kind | paper | parameters | G multiply-adds | weights to import | recipe |"
    yield "|---|---|---|---|---|---|---|"
    for name in (*RIVALS, *ENCODERS):
        published = without_memory(name)
        kind = "encoder" if name in ENCODERS else "rival"
        cost = cost_of(name)
        work = "not counted" if cost.multiply_adds is None else f"{cost.multiply_adds / 1e9:,.3g}"
        recipe = recipes().get(name)
        link = f"[{recipe}](../configs/rivals/{recipe})" if recipe else ""
        paper = f"{published.publication.paper}"
        size = f"{cost.parameters:,} | {work}"
        yield f"| [{name}](#{name}) | {kind} | {paper} | {size} | {imports(published)} | {link} |"


def section(name: str) -> Iterator[str]:
    """What its record says."""
    published = without_memory(name)
    record = published.publication
    yield f"\n### {name}\n"
    yield f"{record.title} ({record.paper}).\n"
    yield f"- Code: {record.code}; licence: {record.code_licence}"
    yield f"- Licence of the weights: {record.weights_licence}"
    yield f"- Needs: {record.needs}"
    yield f"- Input: {first_line(published.preprocess)}"
    yield f"- Differs: {record.differs}"
    for part, network in published.parts.items():
        how = "trained by a recipe" if part in published.trained_parts() else "as published"
        ways = [f"`{layout}`" for layout, form in LAYOUTS.items() if form.network == network]
        yield f"- Part `{part}`: {how}; layouts: {', '.join(ways) or 'none'}"


def layouts() -> Iterator[str]:
    """A line each: what file, from where."""
    yield "| layout | network | file | published at | sha256 |"
    yield "|---|---|---|---|---|"
    for name, form in LAYOUTS.items():
        origin = form.origin if form.is_published else f"not published; training with {form.origin} writes it"
        yield f"| `{name}` | {form.network} | {form.file} | {origin} | {form.sha256 or 'not known'} |"


def imports(published: Published) -> str:
    """Layouts of what a recipe does not train."""
    frozen = [network for part, network in published.parts.items() if part not in published.trained_parts()]
    return ", ".join(f"`{name}`" for name, form in LAYOUTS.items() if form.network in frozen)


def recipes() -> dict[str, str]:
    """The recipe that trains a rival, by the rival's name."""
    return {RivalRecipe.read(file).rival: file.name for file in sorted(RECIPES.glob("*.toml"))}


def first_line(method: object) -> str:
    """The first line of a docstring."""
    return (method.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
