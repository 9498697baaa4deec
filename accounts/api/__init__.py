"""The REST API on people: tokens and patients."""
