"""Running the benchmark: command line, configuration, plan, Ray, progress and report."""
