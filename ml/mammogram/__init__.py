"""The mammogram detector: a patch classifier slid over the breast, its marks, the film's score, the exam they make."""
