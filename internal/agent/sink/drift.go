// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"crypto/sha256"

	"github.com/prometheus/client_golang/prometheus"
)

// Drift counts how often the agent corrected files of ours that another program had changed.
type Drift struct {
	repairs prometheus.Counter
	written map[string][sha256.Size]byte // what each file was last made to be, by path
}

// Drift returns a drift for files of a kind, with its counter at zero: a counter that appears with its first event does not show that event.
func (e Env) Drift(kind string) *Drift {
	return &Drift{repairs: e.Repairs.WithLabelValues(kind), written: make(map[string][sha256.Size]byte)}
}

// Wrote records the intended content of a file; without content, there is no file. If a file had to be changed although its intended content is the
// same as before, another program changed it.
func (d *Drift) Wrote(path string, content []byte, changed bool) {
	want := sha256.Sum256(content)
	if last, known := d.written[path]; changed && known && last == want {
		d.repairs.Inc()
	}
	d.written[path] = want
}
