diff -f testdata/cases/diff-renamed.yaml -f testdata/cases/diff-before.yaml --from testdata/cases/diff-before.yaml -o yaml
