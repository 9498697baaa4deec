"""Images without anything that names a person: pseudonyms, DICOM attributes, pixels, and the package they leave in.

No queries and no writing of rows: ``diagnosis.tasks`` hands rows in, ``diagnosis.actions`` stores what comes out.
"""
