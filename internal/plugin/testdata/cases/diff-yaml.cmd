diff -f testdata/cases/diff-renamed.yaml --from testdata/cases/diff-before.yaml -o yaml
