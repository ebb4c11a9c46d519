// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"time"
)

// plugin is the program that kubectl finds as "kubectl mirrors".
const plugin = "kubectl-mirrors"

type file struct {
	name string
	mode int64
	data []byte
}

// archiveName has no version in it: releases/latest/download/NAME then is the newest.
func archiveName(p platform) string {
	if p.os == "windows" {
		return plugin + "-" + p.String() + ".zip"
	}
	return plugin + "-" + p.String() + ".tar.gz"
}

// pack returns an archive of the kind that people expect on a platform.
func pack(p platform, files []file, modified time.Time) ([]byte, error) {
	if p.os == "windows" {
		return packZip(files, modified)
	}
	return packTar(files, modified)
}

func packTar(files []file, modified time.Time) ([]byte, error) {
	var archive bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&archive, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(compressed)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: modified, Format: tar.FormatUSTAR})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	err = compressed.Close()
	return archive.Bytes(), err
}

func packZip(files []file, modified time.Time) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, f := range files {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: modified})
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return archive.Bytes(), err
}
