# pyright: basic
"""The arms of a comparison: the same pictures in different forms, each with the stem that brings it to the trunk.

Every form ends in the same trunk (`models.Trunk`) at an octave below the grid, 14 x 14 for pictures of 224. Pixels
reach it through convolutions of stride 2, latents through one level of synthesis and three convolutions, other grids
through three convolutions; that is the part of the network that a form of the data may save. `form_comparison.py`
trains and measures them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from laconic.learn.arm import AUGMENT, CHANNELS, WIDTH, Arm
from laconic.learn.latent_arms import LATENTS, PROJECTION, TASK, cells_model, latent_arm
from laconic.learn.pixel_arms import COSINES, FULL, PICTURES, halving_stem, level_stem, pixel_arms

__all__ = ["ARMS"]

ARMS: dict[str, Arm] = {
    "pictures": PICTURES,
    **pixel_arms("pixels", "full pixels, uncompressed cache", 1, FULL),
    **pixel_arms(
        "pixels-values", "pixels reduced to as many values, half the size", 2, partial(halving_stem, 32, 64, WIDTH)
    ),
    **pixel_arms("pixels-grid", "pixels reduced to the same grid, an eighth of the size", 8, level_stem),
    "dct": COSINES,
    "latents": LATENTS,
    "latents-bits": latent_arm(f"laconic latents, {CHANNELS} channels, store bits", "bits", same_as="latents"),
    "latents-small": latent_arm(f"laconic latents, {CHANNELS} channels, store small", "small", same_as="latents"),
    "latents-augmented": latent_arm("laconic latents, store fast, mirrored and shifted", "fast", AUGMENT),
    "latents-fine": latent_arm("laconic latents, store fast, two levels undone in the network", "fast", levels=2),
    "latents-cells": replace(
        LATENTS, description="laconic latents, store fast, nothing undone in the network", model=cells_model
    ),
    "latents-prefixes": latent_arm(
        "laconic latents, store fast, trained on random prefixes of the channels", "fast", prefixes=True
    ),
    "projection": PROJECTION,
    "task": TASK,
}
