"""The mammogram detector: a patch classifier slid over the breast, its marks, its score, and the exam they add up to."""
