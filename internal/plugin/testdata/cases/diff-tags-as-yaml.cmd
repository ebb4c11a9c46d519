diff -f testdata/cases/tags-before.yaml --from testdata/cases/tags.yaml -o yaml
