"""What a face does: the facial action units of the eight expressions.

The unit numbers are those of the Facial Action Coding System (Ekman and Friesen, 1978); which
units make which expression follows EMFACS (Ekman, Friesen and Hager, FACS Investigator's Guide,
2002): happiness 6+12, sadness 1+4+15, surprise 1+2+5+26, fear 1+2+4+5+7+20+26, disgust 9+15+16,
anger 4+5+7+23, contempt R12A+R14A. A recipe has variants, because people show the same feeling
in more than one way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from datasets.drawn_parameters import Dice


@dataclass(frozen=True, slots=True)
class Actions:
    """Strength of each action, 0 at rest and 1 full; gaps between the lips likewise."""

    inner_brow_raise: float = 0.0  # AU1
    outer_brow_raise: float = 0.0  # AU2
    brow_lower: float = 0.0  # AU4
    lid_raise: float = 0.0  # AU5
    cheek_raise: float = 0.0  # AU6
    lid_tighten: float = 0.0  # AU7
    nose_wrinkle: float = 0.0  # AU9
    upper_lip_raise: float = 0.0  # AU10
    corner_pull: float = 0.0  # AU12
    corner_drop: float = 0.0  # AU15
    lower_lip_drop: float = 0.0  # AU16
    chin_raise: float = 0.0  # AU17
    lip_stretch: float = 0.0  # AU20
    lip_press: float = 0.0  # AU23 and AU24
    jaw_drop: float = 0.0  # AU26 and AU27
    lid_droop: float = 0.0  # AU43, partial
    one_sided_pull: float = 0.0  # AU12 and AU14 of one side
    one_sided_brow: float = 0.0  # AU2 of one side
    side: int = 1  # the image side of the one-sided actions, -1 or 1


_NEUTRAL = (Actions(), Actions(lid_droop=0.12), Actions(chin_raise=0.15, lip_press=0.2))
_HAPPINESS = (
    Actions(cheek_raise=0.9, corner_pull=1.0, upper_lip_raise=0.15, jaw_drop=0.22),
    Actions(cheek_raise=1.0, corner_pull=1.0, upper_lip_raise=0.25, jaw_drop=0.42, lid_tighten=0.2),
    Actions(cheek_raise=0.7, corner_pull=0.95),
)
_SADNESS = (
    Actions(inner_brow_raise=1.0, brow_lower=0.35, corner_drop=1.0, lid_droop=0.6, chin_raise=0.5),
    Actions(inner_brow_raise=0.9, brow_lower=0.3, corner_drop=0.9, lid_droop=0.85, chin_raise=0.9),
    Actions(inner_brow_raise=1.0, corner_drop=0.95, lid_droop=0.5, lower_lip_drop=0.25),
)
_SURPRISE = (
    Actions(inner_brow_raise=1.0, outer_brow_raise=1.0, lid_raise=0.9, jaw_drop=1.0),
    Actions(inner_brow_raise=0.9, outer_brow_raise=1.0, lid_raise=0.8, jaw_drop=0.75),
)
_FEAR = (
    Actions(
        inner_brow_raise=1.0,
        outer_brow_raise=0.35,
        brow_lower=0.55,
        lid_raise=1.0,
        lip_stretch=1.0,
        jaw_drop=0.40,
        lower_lip_drop=0.5,
    ),
    Actions(
        inner_brow_raise=1.0,
        outer_brow_raise=0.3,
        brow_lower=0.5,
        lid_raise=0.95,
        lip_stretch=0.95,
        jaw_drop=0.15,
        lower_lip_drop=0.7,
        corner_drop=0.2,
    ),
)
_DISGUST = (
    Actions(
        nose_wrinkle=1.0,
        upper_lip_raise=1.0,
        brow_lower=0.6,
        lid_tighten=0.85,
        cheek_raise=0.4,
        corner_drop=0.35,
    ),
    Actions(
        nose_wrinkle=1.0,
        upper_lip_raise=0.9,
        brow_lower=0.5,
        lid_tighten=0.9,
        corner_drop=0.5,
        lower_lip_drop=0.5,
        jaw_drop=0.2,
    ),
)
_ANGER = (
    Actions(brow_lower=1.0, lid_raise=0.45, lid_tighten=0.35, lip_press=1.0, corner_drop=0.3),
    Actions(
        brow_lower=1.0,
        lid_raise=0.55,
        lid_tighten=0.3,
        upper_lip_raise=0.3,
        lower_lip_drop=0.8,
        jaw_drop=0.30,
        lip_stretch=0.25,
        nose_wrinkle=0.2,
    ),
    Actions(brow_lower=1.0, lid_raise=0.4, lid_tighten=0.4, lip_press=0.8, chin_raise=0.6),
)
_CONTEMPT = (
    Actions(one_sided_pull=1.0, one_sided_brow=0.9, lid_droop=0.35, lip_press=0.2),
    Actions(one_sided_pull=1.0, one_sided_brow=0.5, lid_droop=0.3, lid_tighten=0.2, chin_raise=0.3),
)

# By code, in the order of `datasets.labels.EXPRESSIONS`.
RECIPES: Final[tuple[tuple[Actions, ...], ...]] = (
    _NEUTRAL,
    _HAPPINESS,
    _SADNESS,
    _SURPRISE,
    _FEAR,
    _DISGUST,
    _ANGER,
    _CONTEMPT,
)

_STRENGTHS: Final[tuple[str, ...]] = tuple(f.name for f in fields(Actions) if f.name != "side")


def draw_actions(expression: int, dice: Dice) -> Actions:
    """Draw how this face shows ``expression`` (code 0 to 7).

    Takes the same count of numbers from ``dice`` for every expression. Most faces show theirs
    clearly: the intensity is 0.8 to 1.1, and each action then varies by up to a tenth on its own.
    """
    recipe = dice.pick(RECIPES[expression])
    intensity = 0.8 + 0.3 * dice.unit()
    side = -1 if dice.chance(0.5) else 1
    strengths = {
        name: min(1.15, getattr(recipe, name) * intensity * dice.between(0.9, 1.1))
        for name in _STRENGTHS
    }
    return replace(recipe, side=side, **strengths)
