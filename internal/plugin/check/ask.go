// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/plugin/registry"
)

// ask fills in the results that are still open. The places are asked at the same time, and each one once.
func (o *options) ask(cmd *cobra.Command, images []checkedImage) {
	type question struct {
		location string
		insecure bool
	}
	open := make(map[question][]*checkedPlace)
	var questions []question
	for i := range images {
		for j := range images[i].Places {
			if p := &images[i].Places[j]; p.Result == "" {
				q := question{p.Location, p.insecure}
				if open[q] == nil {
					questions = append(questions, q)
				}
				open[q] = append(open[q], p)
			}
		}
	}
	live, asked := output.NewLiveLine(cmd.ErrOrStderr()), 0
	client := registry.NewClient(o.timeout)
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := make(chan struct{}, o.parallel)
	for _, q := range questions {
		turns <- struct{}{}
		all.Go(func() {
			result, message := client.Has(cmd.Context(), q.location, q.insecure)
			<-turns
			mu.Lock()
			defer mu.Unlock()
			for _, p := range open[q] {
				p.Result, p.Message = result, message
			}
			asked++
			live.Show(fmt.Sprintf("%d of %d places asked", asked, len(questions)))
		})
	}
	all.Wait()
	live.Clear()
}
