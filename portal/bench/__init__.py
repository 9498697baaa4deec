"""Measurements of the site: ``python -m portal.bench``. Ratios are taken within one run; machines differ."""
