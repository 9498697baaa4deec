"""Any network of the zoo, trained on whole images by a recipe in YAML: folds, final network, figures, artefact."""
