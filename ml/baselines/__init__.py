"""What the shipped models are compared with: classical classifiers, frozen features, the published recipe."""
