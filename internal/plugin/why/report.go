// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mirrorset/mirrorset/docs"
	"github.com/mirrorset/mirrorset/internal/diagnosis"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// report is what the verb prints. Its JSON is a promise: fields may be added.
type report struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Node and Runtime are absent where they are not known.
	Node    string `json:"node,omitempty"`
	Runtime string `json:"runtime,omitempty"`
	// Waits says that an image could not be pulled.
	Waits      bool        `json:"waits"`
	Containers []container `json:"containers"`
	// Unknown is what could not be read, and why.
	Unknown []string `json:"unknown"`
	// Docs is the address of what explains the causes.
	Docs string `json:"docs"`
}

// container is one that waits.
type container struct {
	Name   string `json:"name"`
	Image  string `json:"image"`
	Reason string `json:"reason,omitempty"`
	diagnosis.Diagnosis
}

// documents is how a remedy names those of this project.
var documents = regexp.MustCompile(`(^|\s)docs/`)

// page is where the causes are explained.
const page = docs.URL + "how-to/image-pull-backoff.md"

// report judges each container. Those that wait for something else are told of where none waits for an image.
func (r *reader) report() *report {
	found := &report{Namespace: r.pod.Namespace, Pod: r.pod.Name, Node: r.pod.Spec.NodeName, Runtime: r.runtime(), Containers: []container{}, Docs: page}
	var others []container
	for _, waits := range r.waiting() {
		c := container{Name: waits.Name, Image: waits.Image, Reason: waits.Reason, Diagnosis: diagnosis.Diagnose(r.caseOf(waits))}
		for i := range c.Findings {
			c.Findings[i].Remedy = documents.ReplaceAllString(c.Findings[i].Remedy, "${1}"+docs.URL)
		}
		switch first := c.Findings[0].Cause; first {
		case diagnosis.NotTheImage, diagnosis.NotScheduled:
			others = append(others, c)
			continue
		case diagnosis.Pulling:
		default:
			found.Waits = true
		}
		found.Containers = append(found.Containers, c)
		r.missGranted(&c)
	}
	if len(found.Containers) == 0 && len(others) > 0 {
		found.Containers = others
	}
	found.Unknown = append([]string{}, r.unknown...)
	return found
}

// missGranted says what is unknown of logins and authorities where they matter.
func (r *reader) missGranted(c *container) {
	matters := slices.ContainsFunc(c.Findings, func(f diagnosis.Finding) bool {
		return f.Cause == diagnosis.LoginWanted || f.Cause == diagnosis.CameBack || f.Cause == diagnosis.UnknownAuthority
	})
	if matters && r.grantedErr != nil {
		r.unknown = append(r.unknown, fmt.Sprintf("the times of the last changes to the logins and authorities for mirrors: %v", r.grantedErr))
		r.grantedErr = nil
	}
}

func (found *report) print(out, stderr io.Writer) error {
	var text bytes.Buffer
	for i := range found.Containers {
		if i > 0 {
			text.WriteString("\n")
		}
		if err := found.printContainer(&text, &found.Containers[i]); err != nil {
			return err
		}
	}
	if len(found.Containers) == 0 {
		fmt.Fprintf(&text, "No container of Pod %s/%s waits, so none of them waits for an image.\n", found.Namespace, found.Pod)
	}
	if _, err := text.WriteTo(out); err != nil {
		return err
	}
	for _, missing := range found.Unknown {
		fmt.Fprintf(stderr, "note: unknown: %s\n", output.Harmless(oneLine(missing)))
	}
	return nil
}

func (found *report) printContainer(text *bytes.Buffer, c *container) error {
	on := ""
	if found.Node != "" {
		on = " on node " + found.Node
	}
	if found.Runtime != "" {
		on += " (" + found.Runtime + ")"
	}
	fmt.Fprintf(text, "Pod:        %s/%s%s\n", found.Namespace, found.Pod, output.Harmless(on))
	fmt.Fprintf(text, "Container:  %s\n", output.Harmless(c.Name))
	fmt.Fprintf(text, "Image:      %s\n", output.Harmless(c.Image))
	if c.Reason != "" {
		fmt.Fprintf(text, "Status:     %s\n", output.Harmless(c.Reason))
	}
	for _, f := range c.Findings {
		fmt.Fprintf(text, "\nCause:      %s: %s\n", f.Cause, output.Harmless(oneLine(f.Message)))
		label := "Remedy:     "
		for line := range strings.Lines(f.Remedy) {
			line = strings.TrimRight(label+output.Harmless(strings.TrimRight(line, "\n")), " ")
			fmt.Fprintln(text, line)
			label = "            "
		}
	}
	if len(c.Evidence) == 0 {
		return nil
	}
	text.WriteString("\n")
	table := tabwriter.NewWriter(text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "SEEN\tBY\tEVIDENCE")
	for _, e := range c.Evidence {
		at := "<unknown>"
		if e.At != nil {
			at = e.At.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", at, output.Harmless(e.Of), output.Harmless(oneLine(e.Text)))
	}
	return table.Flush()
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
