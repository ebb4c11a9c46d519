// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// Verdict is an exit code that is the answer to a question, and no error to print.
type Verdict int

// Error makes it something that a verb can return.
func (v Verdict) Error() string {
	return fmt.Sprintf("exit code %d", int(v))
}

// ErrorCode annotates a verb whose exit code 1 is an answer, with the one that its errors have instead.
const ErrorCode = "mirrorset.io/error-code"

// silence keeps off the terminal what client-go says of requests that it makes again.
var silence = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// The messages of the flag library about an unusable value.
var (
	noBool = regexp.MustCompile(`strconv\.ParseBool: parsing (".*"): invalid syntax`)
	noInt  = regexp.MustCompile(`strconv\.ParseInt: parsing (".*"): (?:invalid syntax|value out of range)`)
)

// Run executes the command, prints its error, if any, and returns the exit code.
func Run(cmd *cobra.Command) int {
	silence()
	verb, err := cmd.ExecuteC()
	var answer Verdict
	switch {
	case err == nil:
		return 0
	case errors.As(err, &answer):
		return int(answer)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "error:", noInt.ReplaceAllString(noBool.ReplaceAllString(err.Error(), "the value must be true or false, not $1"), "the value must be a whole number, not $1"))
	code := 1
	if text, ok := verb.Annotations[ErrorCode]; ok {
		if _, scanErr := fmt.Sscan(text, &code); scanErr != nil {
			panic(scanErr) // it is a constant of ours
		}
	}
	return code
}
