"""Labelled image collections: what a record is, who reads which publisher's layout, how views are augmented."""
