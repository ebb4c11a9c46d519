render -f testdata/cases/diff-refused.yaml
explain order.example/x@sha256:4032c6d5bfd752342c3e631c2f1de93ba6b86c41db6b167b9a35372c139e7706 -f testdata/cases/diff-refused.yaml
explain order.example/x:1 -f testdata/cases/diff-kept.yaml --strict
render -f testdata/cases/foreign
