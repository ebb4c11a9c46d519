// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// The mirror. Its address is from the range for examples, and is in the namespaces only.
const (
	mirrorIP   = "198.51.100.1"
	mirrorHost = mirrorIP + ":5000" // over TLS, with a login
	plainHost  = mirrorIP + ":5001" // without either
	repository = "copy/layer"
	user       = "bench"
	password   = "not-a-secret"
)

// serveRegistry is the mirror: a registry that serves the image whose layer has as many bytes as the second argument says. Over TLS, with a
// certificate in the file that is the first argument, it requires the login.
func serveRegistry(args []string) error {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(args[0], args[0])
	if err != nil {
		return err
	}
	image, err := newImage(size)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr: mirrorHost, Handler: forThoseWithTheLogin(image), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	plain, err := net.Listen("tcp", plainHost)
	if err != nil {
		return err
	}
	if err := os.WriteFile(imageFile, []byte(image.digest+" "+image.layer), 0o600); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- (&http.Server{Handler: image, ReadHeaderTimeout: time.Minute}).Serve(plain) }()
	go func() { ended <- server.ListenAndServeTLS("", "") }()
	return <-ended
}

// image is one of a single layer, by what its parts are asked for with.
type image struct {
	digest digest.Digest // of the manifest
	layer  digest.Digest
	parts  map[string]func() io.ReadSeeker
	types  map[string]string
}

func newImage(size int64) (*image, error) {
	newLayer := func() io.ReadSeeker { return io.NewSectionReader(layer{}, 0, size) }
	of, err := digest.FromReader(newLayer())
	if err != nil {
		return nil, err
	}
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, of)
	const layerType, configType, manifestType = "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.manifest.v1+json"
	type descriptor struct {
		MediaType string        `json:"mediaType"`
		Digest    digest.Digest `json:"digest"`
		Size      int64         `json:"size"`
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor{configType, digest.FromBytes(config), int64(len(config))},
		"layers": []descriptor{{layerType, of, size}},
	})
	i := &image{digest: digest.FromBytes(manifest), layer: of}
	at := func(kind string, d digest.Digest) string { return "/v2/" + repository + "/" + kind + "/" + d.String() }
	i.parts = map[string]func() io.ReadSeeker{
		at("manifests", i.digest):             func() io.ReadSeeker { return bytes.NewReader(manifest) },
		at("blobs", digest.FromBytes(config)): func() io.ReadSeeker { return bytes.NewReader(config) },
		at("blobs", of):                       newLayer,
	}
	i.types = map[string]string{"manifests": manifestType, "blobs": "application/octet-stream"}
	return i, err
}

// forThoseWithTheLogin has a handler answer only clients with the login.
func forThoseWithTheLogin(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, secret, _ := r.BasicAuth(); name != user || secret != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="bench"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// ServeHTTP answers with a part of the image.
func (i *image) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	part := i.parts[r.URL.Path]
	if part == nil {
		http.NotFound(w, r)
		return
	}
	folders := strings.Split(r.URL.Path, "/")
	w.Header().Set("Content-Type", i.types[folders[len(folders)-2]])
	w.Header().Set("Docker-Content-Digest", folders[len(folders)-1])
	http.ServeContent(inPieces{w}, r, "", time.Time{}, part())
}

// inPieces writes in large pieces, so that the mirror is not what is measured.
type inPieces struct{ http.ResponseWriter }

// ReadFrom is what [http.ServeContent] copies by.
func (w inPieces) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w.ResponseWriter}, r, make([]byte, len(content)))
}

// tarSize is how much of the layer containerd unpacks, in bytes: an archive that ends at once. What is behind it has to be fetched and
// verified, and takes no further time.
const tarSize = 1024

// content is what layers repeat behind the archive.
var content = bytes.Repeat([]byte("mirrorset "), 1<<20/10)

// layer is a layer without an end.
type layer struct{}

// ReadAt reads as much as there is of the content in one piece.
func (layer) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, errors.New("a negative offset")
	}
	for n < len(p) {
		if at := offset + int64(n); at < tarSize {
			end := min(len(p)-n, int(tarSize-at))
			clear(p[n : n+end])
			n += end
		} else {
			n += copy(p[n:], content[(at-tarSize)%int64(len(content)):])
		}
	}
	return n, nil
}
