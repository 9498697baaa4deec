"""What: studies, images, analyses, reports and the model registry."""
