"""The report of a run, from its result files alone: no Keras, no Ray, no network.

collect      reads a run directory
merge        several run directories as one report
predictions  reads what a trial predicted
statistics   accuracy, intervals, per-class scores (thin over scikit-learn and SciPy)
probabilities   calibration, ROC-AUC, log loss, Brier score, top-2
compare      pairs of trials over the same images: paired_tests, bootstrap, groups, over_seeds
comparisons  what comparing gives
paper        the paper's own numbers, as data
comparison   whether they may stand beside ours; what the paper left open and what was done here
columns      the accuracy table, once, for every form of the report
tables, paper_tables, run_tables, interruptions, multistage   the other tables
results      the schema of results.json
figures      the interactive figures (plotly)
pictures     the figures as files (matplotlib), with picture_curves, picture_matrices, palette
*_section, *_table   one section or table of the page each
summary, notices   the head of the page
page         what the page and the Markdown file say, form aside
html, markdown, latex   the forms
write        all of it into a directory
"""

from orchestrator.report.write import write_report, write_runs

__all__ = ["write_report", "write_runs"]
