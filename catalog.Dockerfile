# The image with the catalog that OLM is offered. It holds no server: OLM brings its own for a CatalogSource with
# spec.grpcPodConfig.extractContent, and OLM v1 reads the catalog as it is.
FROM scratch
LABEL operators.operatorframework.io.index.configs.v1=/configs
COPY catalog /configs
