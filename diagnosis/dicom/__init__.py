"""DICOM to plain data: pure translation, no Django, no queries.

Glossary, in the standard's words: a *data element* is a tag with a value; a *dataset* is a list of them; the *file meta
information* (group 0002) names the *transfer syntax*, which says how the dataset and its pixels are encoded; a
*photometric interpretation* says what a pixel's numbers mean; *modality LUT* and *VOI LUT* are the two steps from
stored numbers to what a monitor shows.
"""
