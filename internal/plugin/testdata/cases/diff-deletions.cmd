diff --from testdata/cases/diff-before.yaml -f testdata/cases/diff-kept.yaml
diff --from testdata/cases/diff-before.yaml -f testdata/cases/diff-kept.yaml -o json
diff --from testdata/cases/diff-before.yaml -f testdata/cases/diff-refused.yaml
diff --from testdata/cases/diff-refused.yaml -f testdata/cases/diff-before.yaml
diff --from testdata/cases/diff-before.yaml -f testdata/cases/diff-kept.yaml --prune
diff -f testdata/cases/diff-kept.yaml {cluster} --prune
diff -f testdata/cases/diff-kept.yaml {cluster}
diff --from testdata/cases/diff-kept.yaml --from testdata/cases/diff-twin.yaml -f testdata/cases/diff-kept.yaml
