"""The report of a run, from its result files alone: no Keras, no Ray, no network.

collect      reads the run directory
statistics   accuracy, intervals, per-class scores (thin over scikit-learn and SciPy)
paper        the paper's own numbers, as data
choices      what the paper left open and what this run did instead
columns      the accuracy table, once, for every form of the report
results      the schema of results.json
figures      the interactive figures (plotly)
page         what the page and the Markdown file say, form aside
markdown, html   the two forms
"""

from orchestrator.report.write import write_report

__all__ = ["write_report"]
