explain quay.io/x --server=http://127.0.0.1:1
