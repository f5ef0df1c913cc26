"""`python -m trainers.check_weights RECIPE_JSON ID…`: load each weight file into its model.

Exits 2 with one line on standard error at the first that does not fit.
"""

import sys

from datasets.errors import FerOrchError
from trainers.architectures import architecture
from trainers.model import build_model
from trainers.recipe import Recipe


def main(words: list[str]) -> int:
    """Build each model with its weights; returns the exit code."""
    recipe = Recipe.model_validate_json(words[0])
    try:
        for name in words[1:]:
            build_model(architecture(name), recipe, seed=0)
    except FerOrchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
