// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"cmp"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorset/mirrorset/internal/mirrors"
)

// table is how images are printed for people.
type table struct {
	images             []checkedImage
	wide               bool
	pods, tags, reason bool // the columns that not all tables have
}

func newTable(images []checkedImage, wide, pods bool) table {
	t := table{images: images, wide: wide, pods: pods, reason: wide}
	for i := range images {
		t.tags = t.tags || images[i].ref.Mode == mirrors.ByTag
		t.reason = t.reason || images[i].Message != "" || slices.ContainsFunc(images[i].Places, func(p checkedPlace) bool { return p.Message != "" })
	}
	return t
}

func (t table) columns() []metav1.TableColumnDefinition {
	columns := []metav1.TableColumnDefinition{{Name: "Image", Type: "string", Format: "name"}}
	if t.pods {
		columns = append(columns, metav1.TableColumnDefinition{Name: "Pods", Type: "string"})
	}
	columns = append(columns, metav1.TableColumnDefinition{Name: "Pull source", Type: "string"}, metav1.TableColumnDefinition{Name: "Result", Type: "string"})
	if t.tags {
		columns = append(columns, metav1.TableColumnDefinition{Name: "Digest", Type: "string", Priority: 1})
	}
	if t.reason {
		columns = append(columns, metav1.TableColumnDefinition{Name: "Message", Type: "string"})
	}
	return columns
}

var wholeDigest = regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

// short cuts digests, which only a wide table has room for.
func (t table) short(text string) string {
	if t.wide {
		return text
	}
	return wholeDigest.ReplaceAllString(text, "$1")
}

func (t table) rows() (rows [][]any) {
	podsShown := 2
	if t.wide {
		podsShown = 10
	}
	for i := range t.images {
		image := &t.images[i]
		places := image.Places
		if len(places) == 0 {
			places = []checkedPlace{{Location: "<none>", Result: refused}}
			if image.invalid {
				places[0].Result = invalid
			}
		}
		for _, p := range places {
			row := []any{t.short(image.Image)}
			if t.pods {
				row = append(row, sayPods(image.Pods, podsShown))
			}
			row = append(row, t.short(p.Location), string(p.Result))
			if t.tags {
				row = append(row, cmp.Or(p.Digest, "<none>"))
			}
			if t.reason {
				row = append(row, t.short(cmp.Or(p.Message, image.Message, "<none>")))
			}
			rows = append(rows, row)
		}
	}
	return rows
}
