"""Network architectures. Keras 3 API only, so that they also train on another Keras backend."""
