// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// verdict is an exit code that is the answer to a question, and no error to print.
type verdict int

// Error makes it something that a verb can return.
func (v verdict) Error() string {
	return fmt.Sprintf("exit code %d", int(v))
}

// errorCode annotates a verb whose exit code 1 is an answer, with the one that its errors have instead.
const errorCode = "mirrorset.io/error-code"

// silence keeps off the terminal what client-go says of requests that it makes again.
var silence = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// Main runs the command, prints its error, if any, and returns the exit code.
func Main(cmd *cobra.Command) int {
	silence()
	verb, err := cmd.ExecuteC()
	var answer verdict
	switch {
	case err == nil:
		return 0
	case errors.As(err, &answer):
		return int(answer)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "error:", err)
	code := 1
	if text, ok := verb.Annotations[errorCode]; ok {
		if _, scanErr := fmt.Sscan(text, &code); scanErr != nil {
			panic(scanErr) // it is a constant of ours
		}
	}
	return code
}
