"""The report of a run, from its result files alone: no Keras, no Ray, no network.

collect      reads a run directory; merge: several as one report
predictions  reads what a trial predicted
scores/      scores of a trial, and what comparing trials gives
paper        the paper's own numbers, as data
comparison   whether they may stand beside ours; what the paper left open and what was done here
results      the schema of results.json, with rows and comparison_rows
sections/    the parts of the page, form aside, made of blocks
page         what the page says, in order
pictures/    the figures as files
forms/       HTML, Markdown, LaTeX
write        all of it into a directory
"""

from orchestrator.report.write import write_report, write_runs

__all__ = ["write_report", "write_runs"]
