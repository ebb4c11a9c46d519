explain example.com:5000/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime crio
explain example.com:5000/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -f testdata/cases/wildcards.yaml --runtime crio -o json
