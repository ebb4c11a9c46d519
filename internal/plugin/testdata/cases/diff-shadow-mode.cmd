diff --from testdata/cases/shadow.yaml -f testdata/cases/shadow-enforced.yaml
diff --from testdata/cases/shadow-enforced.yaml -f testdata/cases/shadow.yaml
diff --from testdata/cases/shadow-misspelt.yaml -f testdata/cases/shadow-enforced.yaml
