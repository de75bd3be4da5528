"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from pal_backend import cli_completion as completion

ProjectName = Annotated[
    str,
    typer.Argument(
        metavar="[PROJECT]",
        help="Project; may be left out when there is only one.",
        autocompletion=completion.projects,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
RecipeName = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="How it is trained; `pal recipes` lists the ways.", autocompletion=completion.recipes
    ),
]
BackboneSpec = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="small, torchvision:NAME, timm:NAME, package.module:factory, features:FILE.npy; docs/backbones.md.",
        autocompletion=completion.backbones,
    ),
]
WeightsFile = Annotated[str, typer.Option(metavar="FILE", help="The backbone's weights.")]
TuningName = Annotated[
    str,
    typer.Option(
        metavar="HOW", help="What learns of the backbone: full, head or frozen.", autocompletion=completion.tunings
    ),
]
Side = Annotated[int, typer.Option(min=8, max=512, help="Side in pixels of the images that the network sees.")]
Device = Annotated[str, typer.Option(help="auto (CUDA where there is one), cpu or cuda.")]
