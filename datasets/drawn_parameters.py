"""Who a drawn face is and how it is seen: a person and a view, drawn from one random stream.

Every draw takes one number of a block made at once, so a face costs one call of the generator,
and the person stays the same whatever expression is drawn on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import cos, log, pi, sqrt
from typing import TypeVar

import numpy as np

Colour = tuple[int, int, int]
_Choice = TypeVar("_Choice")


class Pose(StrEnum):
    """How the head is seen; left and right are the sides of the image to which the nose points."""

    FRONT = "front"
    OCCLUDED = "occluded"
    RIGHT = "right"
    LEFT = "left"


class Dice:
    """A stream of random numbers, keyed by the pair ``(seed, index)`` and by nothing else."""

    def __init__(self, seed: int, index: int, length: int = 192) -> None:
        # The pair is the key: seed + index would make (7, 1) the twin of (8, 0).
        generator = np.random.default_rng(np.random.SeedSequence([seed, index]))
        self._numbers = iter(generator.random(length).tolist())

    def unit(self) -> float:
        """Return the next number of [0, 1)."""
        return float(next(self._numbers))

    def between(self, low: float, high: float) -> float:
        """Return a number of [low, high), uniform."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """Return True with ``probability``."""
        return self.unit() < probability

    def pick(self, choices: Sequence[_Choice]) -> _Choice:
        """Return one of ``choices``, each as likely."""
        return choices[int(self.unit() * len(choices))]

    def normal(self) -> float:
        """Return a standard normal number, cut at 2.5 (Box and Muller's transform)."""
        radius = sqrt(-2.0 * log(1.0 - self.unit()))
        return max(-2.5, min(2.5, radius * cos(2.0 * pi * self.unit())))


@dataclass(frozen=True, slots=True)
class Person:
    """What stays when the expression changes. Lengths in half face widths, weights in [0, 1]."""

    skin: Colour
    hair: Colour
    brow: Colour
    lip: Colour
    iris: Colour
    clothes: Colour
    hair_style: str
    fringe: float
    chin_y: float
    jaw_width: float
    cheek_width: float
    eye_half_width: float
    eye_distance: float
    eye_tilt: float
    lid_openness: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_half_width: float
    lip_fullness: float
    age: float
    beard: str
    glasses: bool


@dataclass(frozen=True, slots=True)
class View:
    """How the person is seen. Angles in radians; lengths in fractions of the image's side."""

    pose: Pose
    yaw: float
    roll: float
    pitch: float
    scale: float
    centre_x: float
    centre_y: float
    gaze_x: float
    gaze_y: float
    light_x: float
    light_y: float
    light: float
    brightness: float
    contrast: float
    warmth: float
    grey: bool
    noise: float
    noise_x: float
    noise_y: float
    sharpness: float
    occluder: str
    occluder_side: int
    occluder_x: float
    occluder_colour: Colour
    background: tuple[Colour, Colour, Colour, Colour]


# From very light to very dark, pink and olive; a face lies between two neighbours.
_SKINS: tuple[Colour, ...] = (
    (250, 224, 205),
    (243, 208, 182),
    (232, 190, 160),
    (219, 172, 136),
    (203, 152, 112),
    (180, 128, 90),
    (154, 104, 70),
    (132, 87, 58),
    (110, 72, 49),
    (92, 60, 43),
)
_HAIRS: tuple[Colour, ...] = (
    (24, 20, 20),
    (44, 30, 24),
    (66, 44, 30),
    (96, 64, 40),
    (128, 88, 52),
    (176, 134, 80),
    (214, 178, 118),
    (140, 62, 32),
)
_GREYS: tuple[Colour, ...] = ((120, 118, 118), (172, 170, 168), (214, 212, 208))
_IRISES: tuple[Colour, ...] = (
    (58, 36, 22),
    (84, 54, 30),
    (104, 76, 40),
    (84, 104, 64),
    (78, 112, 142),
    (104, 124, 132),
)
_SHORT_STYLES = ("short", "short", "side", "bald", "curly", "receding", "afro")
_LONG_STYLES = ("long", "long", "side_long", "bun", "curly_long", "afro", "short", "scarf")
_BEARDS = ("none", "none", "none", "stubble", "full", "moustache", "goatee")
OCCLUDERS = ("hand", "hair", "mug", "card", "hand")


def mix(first: Colour, second: Colour, weight: float) -> Colour:
    """Return the colour ``weight`` of the way from ``first`` to ``second``."""
    r, g, b = (round(a + (z - a) * weight) for a, z in zip(first, second, strict=True))
    return r, g, b


def shade(colour: Colour, factor: float) -> Colour:
    """Return ``colour`` times ``factor``, within what a pixel can hold."""
    r, g, b = (max(0, min(255, round(value * factor))) for value in colour)
    return r, g, b


def line_colour(skin: Colour) -> Colour:
    """Return the colour of lines in ``skin``: the darker the skin, the deeper they must be."""
    return shade(skin, 0.34 + 0.14 * min(1.0, sum(skin) / 600))


def _between_neighbours(dice: Dice, colours: Sequence[Colour]) -> Colour:
    position = dice.unit() * (len(colours) - 1)
    lower = int(position)
    return mix(colours[lower], colours[lower + 1], position - lower)


def _random_colour(dice: Dice, low: float = 20, high: float = 235) -> Colour:
    level = dice.between(low, high)
    r, g, b = (max(0, min(255, round(level + dice.between(-45, 45)))) for _ in range(3))
    return r, g, b


def draw_person(dice: Dice) -> Person:
    """Draw one person; takes the same count of numbers from ``dice`` for everyone."""
    skin = _between_neighbours(dice, _SKINS)
    age = dice.unit() ** 1.5
    dark_skin = sum(skin) < 400
    hairs = _HAIRS[:3] if dark_skin else _HAIRS
    hair = _between_neighbours(dice, hairs)
    grey = _between_neighbours(dice, _GREYS)
    if age > 0.72:
        hair = mix(hair, grey, min(1.0, (age - 0.6) * 3.0))
    bearded, long_haired = dice.chance(0.5), dice.chance(0.5)
    styles = _SHORT_STYLES if bearded or not long_haired else _LONG_STYLES
    style, beard = dice.pick(styles), dice.pick(_BEARDS)
    irises = _IRISES[:3] if dark_skin else _IRISES
    lip_red = mix(shade(skin, 0.80), (186, 72, 80), dice.between(0.25, 0.6))
    lipstick = dice.chance(0.25)
    lipstick_colour = mix(lip_red, (176, 24, 48), dice.between(0.3, 0.8))
    return Person(
        skin=skin,
        hair=hair,
        brow=mix(shade(hair, 0.75), (30, 22, 18), dice.between(0.25, 0.6)),
        lip=lipstick_colour if lipstick and not bearded else lip_red,
        iris=shade(dice.pick(irises), dice.between(0.8, 1.15)),
        clothes=_random_colour(dice),
        hair_style=style,
        fringe=dice.unit(),
        chin_y=dice.between(1.22, 1.38),
        jaw_width=dice.between(0.66, 0.88),
        cheek_width=dice.between(0.94, 1.04),
        eye_half_width=dice.between(0.20, 0.25),
        eye_distance=dice.between(0.40, 0.46),
        eye_tilt=dice.between(-0.02, 0.035),
        lid_openness=dice.between(0.88, 1.12),
        brow_thickness=dice.between(0.05, 0.095),
        brow_arch=dice.between(0.02, 0.075),
        nose_length=dice.between(0.48, 0.60),
        nose_width=dice.between(0.17, 0.25),
        mouth_y=dice.between(0.86, 0.95),
        mouth_half_width=dice.between(0.34, 0.42),
        lip_fullness=dice.between(0.75, 1.3),
        age=age,
        beard=beard if bearded else "none",
        glasses=dice.chance(0.07),
    )


def _pose_of(number: float) -> Pose:
    if number < 0.70:
        return Pose.FRONT
    if number < 0.82:
        return Pose.LEFT
    return Pose.RIGHT if number < 0.94 else Pose.OCCLUDED


def draw_view(dice: Dice, pose: Pose | None = None) -> View:
    """Draw one view; ``pose`` overrides the drawn one and changes nothing else."""
    drawn_pose = _pose_of(dice.unit())
    pose = drawn_pose if pose is None else pose
    small_turn, large_turn = 0.10 * dice.normal(), dice.between(0.42, 0.70)
    yaw = {Pose.LEFT: -large_turn, Pose.RIGHT: large_turn}.get(pose, small_turn)
    backdrop = _random_colour(dice)
    corners = [mix(backdrop, _random_colour(dice), 0.65) for _ in range(4)]
    return View(
        pose=pose,
        yaw=yaw,
        roll=0.07 * dice.normal(),
        pitch=0.05 * dice.normal(),
        scale=dice.between(0.365, 0.42),
        centre_x=0.5 + 0.018 * dice.normal(),
        centre_y=0.5 + 0.018 * dice.normal(),
        gaze_x=dice.normal() * 0.35,
        gaze_y=dice.normal() * 0.2,
        light_x=dice.between(-1.0, 1.0),
        light_y=dice.between(-1.0, 0.3),
        light=dice.between(0.03, 0.22),
        brightness=dice.between(0.82, 1.12),
        contrast=dice.between(0.85, 1.12),
        warmth=dice.between(-0.06, 0.06),
        grey=dice.chance(0.05),
        noise=dice.between(1.0, 8.0),
        noise_x=dice.unit(),
        noise_y=dice.unit(),
        sharpness=dice.unit(),
        occluder=dice.pick(OCCLUDERS),
        occluder_side=-1 if dice.chance(0.5) else 1,
        occluder_x=dice.unit(),
        occluder_colour=_random_colour(dice, 40, 220),
        background=(corners[0], corners[1], corners[2], corners[3]),
    )
