"""The table of parameters and multiply-adds, against sizes that are published or counted by hand."""

import importlib.util
from pathlib import Path

from cameraborn.networks.registry import NETWORKS
from cameraborn.rivals import ENCODERS, RIVALS

TOOL = Path(__file__).resolve().parents[2] / "tools" / "network_sizes.py"


def test_every_network_has_its_row(capsys):
    spec = importlib.util.spec_from_file_location("network_sizes", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    sizes = {(name, seen): (p.replace(",", ""), ops.replace(",", "")) for name, seen, p, ops in rows}
    assert [name for name, seen in sizes if not seen.startswith("face, ")] == [*NETWORKS]
    assert [name for name, seen in sizes if seen == "face, rival"] == [*RIVALS]
    assert [name for name, seen in sizes if seen == "face, encoder"] == [*ENCODERS]
    for (name, seen), (parameters, operations) in sizes.items():
        assert int(parameters) > 0, name
        if not name.startswith("self-description"):  # most of its work is no multiply-add
            assert int(operations) > 1_000_000, (name, seen)
    # torchvision's ResNet-50 has 25,557,032 parameters and 4.09 G multiply-adds at 224 pixels; fc is 768 wide here.
    parameters, operations = map(int, sizes["resnet50", "crop"])
    assert parameters == 25_557_032 - 2049 * (1000 - 768)
    assert abs(operations - 4.09e9) < 0.02e9
    assert sizes["self-description", "face, encoder"] == ("1800", "not counted")
