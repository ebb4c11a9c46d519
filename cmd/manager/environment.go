// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
)

// prefix begins the names of the variables that are settings.
const prefix = "MIRRORSET_"

// fromEnvironment sets the flags that were not given from the environment variables with their names. It is for people who can set the
// environment of a Pod but not its arguments, such as users of OLM. An empty variable sets nothing.
func fromEnvironment(flags *flag.FlagSet, environment []string) error {
	settings, given := map[string]*flag.Flag{}, map[string]bool{}
	flags.VisitAll(func(f *flag.Flag) { settings[prefix+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = f })
	delete(settings, prefix+"VERSION") // asks for something, and sets nothing
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		f := settings[name]
		if f == nil {
			errs = append(errs, fmt.Errorf("%s=%q: this setting does not exist; manager --help lists the flags. A variable has the name of its flag in capitals, with _ instead of -. "+
				"If Kubernetes set it for a Service, set enableServiceLinks: false in the Pod", name, value))
			continue
		}
		if value == "" || given[f.Name] {
			continue
		}
		if err := flags.Set(f.Name, value); err != nil {
			if is, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && is.IsBoolFlag() {
				err = errors.New("want true or false")
			}
			errs = append(errs, fmt.Errorf("%s=%q: %w", name, value, err))
		}
	}
	return errors.Join(errs...)
}
