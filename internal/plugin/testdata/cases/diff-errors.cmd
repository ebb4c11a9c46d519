diff
diff -f none.yaml --from testdata/cases/diff-before.yaml
diff -f - --from -
diff -f testdata/cases/diff-after.yaml --server=http://127.0.0.1:1
diff -f testdata/cases/diff-after.yaml --from testdata/cases/diff-before.yaml -o wide
diff --no-such-flag
diff a -f testdata/cases/diff-after.yaml --from testdata/cases/diff-before.yaml
render
