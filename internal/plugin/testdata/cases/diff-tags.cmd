diff -f testdata/cases/tags.yaml --from testdata/cases/tags-before.yaml
