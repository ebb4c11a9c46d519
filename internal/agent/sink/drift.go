// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"crypto/sha256"

	"github.com/prometheus/client_golang/prometheus"
)

// Drift counts how often files of ours that somebody else had changed were put right.
type Drift struct {
	repairs prometheus.Counter
	written map[string][sha256.Size]byte // what each file was last made to be, by path
}

// Drift returns one for files of a kind, whose counter is at zero: one that appears with its first event does not show that event.
func (e Env) Drift(kind string) *Drift {
	return &Drift{repairs: e.Repairs.WithLabelValues(kind), written: make(map[string][sha256.Size]byte)}
}

// Wrote takes note of what a file was made to be; without content there is none. A file that had to be changed to be what it was
// made to be before was changed by somebody else.
func (d *Drift) Wrote(path string, content []byte, changed bool) {
	want := sha256.Sum256(content)
	if last, known := d.written[path]; changed && known && last == want {
		d.repairs.Inc()
	}
	d.written[path] = want
}
