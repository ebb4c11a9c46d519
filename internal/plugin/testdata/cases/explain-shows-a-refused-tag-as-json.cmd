explain ghcr.io/example/app:v1 -f ../../config/samples -o json
