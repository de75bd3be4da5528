"""The loader that goes with an exported model: about ten lines of Python that need torch and safetensors, and the library
from which the network comes, and nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEAD = '''"""Features of {project} {version}: features(images) takes float images (B, {channels}, {side}, {side}) in [0, 1] and
gives float (B, {features}), as PAL has them. config.json says how images were made small; only arrays and JSON are read."""

import json, pathlib, torch{modules}
from safetensors.torch import load_file
{more}here = pathlib.Path(__file__).parent
about, tensors = json.loads((here / "config.json").read_text())["network"], load_file(here / "model.safetensors")
{network}
network.load_state_dict({{name[8:]: value for name, value in tensors.items() if name.startswith("network.")}})
network.eval()

@torch.inference_mode()
def features(images):
{enter}    found = {seen}
    return {out}
'''

_SMALL = """\
block = lambda i, o, k, s: (torch.nn.Conv2d(i, o, k, s, k // 2, bias=False), torch.nn.GroupNorm(8, o), torch.nn.ReLU())
network = torch.nn.Sequential(*(layer for shape in about["blocks"] for layer in block(*shape)))"""
_PCA = 'network = torch.nn.Sequential(torch.nn.AvgPool2d(about["block"]), torch.nn.Flatten(), torch.nn.Linear(*about["linear"]))'
_TORCHVISION = """\
network = torchvision.models.get_model(about["model"], weights=None)
network.set_submodule(about["classifier"], torch.nn.Identity())"""
_TIMM = 'network = timm.create_model(about["model"], pretrained=False, num_classes=0)'
_STEM = 'network.conv1, network.maxpool = torch.nn.Conv2d(*about["stem"], 3, padding=1, bias=about["stem_bias"]), torch.nn.Identity()'
_FACTORY = 'network = {name}(about["channels"], about["side"], torch.Generator())'
_PLUGIN = """\
[point] = importlib.metadata.entry_points(group="pal_backend.backbones", name=about["model"])
network = point.load()(about["channels"], about["side"], torch.Generator())"""
_RESIZE = """\
    images = torch.nn.functional.interpolate(images, (about["enlarged"],) * 2, mode="bilinear", antialias=True)
"""
_PLAIN = "network(images)"


def loader(network: Mapping[str, Any], **about: Any) -> str:
    """The text of ``load.py``.

    Args:
        network: what ``config.json`` says of it under "network".
        about: project, version, channels, side, features, for the words on top.
    """
    kind, modules, more, made, enter, seen = network["kind"], "", "", "network = torch.nn.Identity()", "", _PLAIN
    match kind:
        case "small":
            made, seen = _SMALL, "network(images * 4 - 2).mean((2, 3))"
        case "pca":
            made = _PCA
        case "torchvision" | "timm":
            modules, made = f", {kind}", _TORCHVISION if kind == "torchvision" else _TIMM
            made += f"\n{_STEM}" if "stem" in network else ""
            enter = _RESIZE if network["enlarged"] else ""
            entering = '(images.expand(-1, len(tensors["mean"][0]), -1, -1) - tensors["mean"]) / tensors["std"]'
            seen = f"network({entering}).flatten(1)"
        case "factory":
            module, _, name = network["model"].partition(":")
            more, made = f"from {module} import {name}\n", _FACTORY.format(name=name)
        case "plugin":
            modules, made = ", importlib.metadata", _PLUGIN
    if network["head"]:
        seen = f'torch.nn.functional.linear({seen}, tensors["head.weight"], tensors["head.bias"])'
    out = '(found - tensors["centre"]) * tensors["factor"]' if network["scaled"] else "found"
    return _HEAD.format(modules=modules, more=more, network=made, enter=enter, seen=seen, out=out, **about)
