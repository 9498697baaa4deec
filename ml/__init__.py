"""Senolens' learning library: knows images and models, no web, no database.

Importing the package loads no framework; each module imports what it needs.
"""
