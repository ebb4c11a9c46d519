diff -f testdata/cases/diff-before.yaml --from testdata/cases/diff-before.yaml
diff -f testdata/cases/diff-before.yaml --from testdata/cases/diff-before.yaml -o json
diff -f testdata/cases/diff-renamed.yaml --from testdata/cases/diff-before.yaml
