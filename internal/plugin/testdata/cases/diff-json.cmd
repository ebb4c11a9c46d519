diff -f testdata/cases/diff-after.yaml --from testdata/cases/diff-before.yaml -o json
