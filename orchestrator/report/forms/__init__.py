"""The forms of the report: HTML, Markdown, LaTeX."""
