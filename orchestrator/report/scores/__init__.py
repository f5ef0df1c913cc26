"""A trial's scores, and what comparing trials gives; thin over scikit-learn, SciPy, statsmodels."""
