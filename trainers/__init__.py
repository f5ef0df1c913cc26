"""Training one architecture: models, recipes, the trial, its checkpoints and its result files."""
