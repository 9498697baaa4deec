"""The ultrasound model that looks twice: at the whole image, then closely at the lesion it found."""
