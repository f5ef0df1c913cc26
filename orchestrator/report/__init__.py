"""The report of a run, from its result files alone: no Keras, no Ray, no network.

collect      reads the run directory
predictions  reads what a trial predicted
statistics   accuracy, intervals, per-class scores (thin over scikit-learn and SciPy)
probabilities   calibration, ROC-AUC, log loss, Brier score, top-2
compare      pairs of trials over the same images: paired_tests, bootstrap, groups, over_seeds
comparisons  what comparing gives
paper        the paper's own numbers, as data
choices      what the paper left open and what this run did instead
columns      the accuracy table, once, for every form of the report
results      the schema of results.json
figures      the interactive figures (plotly)
*_section, *_table   one section or table of the page each
page         what the page and the Markdown file say, form aside
markdown, html   the two forms
"""

from orchestrator.report.write import write_report

__all__ = ["write_report"]
