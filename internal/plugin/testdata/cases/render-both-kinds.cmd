render -f testdata/cases/tags.yaml
