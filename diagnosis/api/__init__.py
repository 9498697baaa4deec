"""The REST API on studies, images, analyses and models, one module a noun."""
