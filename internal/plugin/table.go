// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"io"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
)

// listing is how a verb prints what it lists: as a table, unless told otherwise.
type listing struct {
	output
	noHeaders bool
	value     string // the format, once it is checked
}

func (l *listing) addFlags(cmd *cobra.Command, formats ...string) {
	l.addFlag(cmd, formats...)
	cmd.Flags().BoolVar(&l.noHeaders, "no-headers", false, "print tables without headers")
}

func (l *listing) check() (err error) {
	l.value, err = l.output.check()
	return err
}

// isTable tells whether people read the output.
func (l *listing) isTable() bool {
	return l.value == "table" || l.value == "wide"
}

// table prints rows as kubectl does. Those that come later keep to the columns of the first ones.
type table struct {
	columns []metav1.TableColumnDefinition
	printer printers.ResourcePrinter
	out     interface {
		io.Writer
		Flush() error
	}
}

// newTable returns a table with these columns; those with a priority are for the format wide.
func (l *listing) newTable(out io.Writer, columns ...metav1.TableColumnDefinition) *table {
	return &table{
		columns: columns,
		printer: printers.NewTablePrinter(printers.PrintOptions{Wide: l.value == "wide", NoHeaders: l.noHeaders}),
		out:     printers.GetNewTabWriter(out),
	}
}

func (t *table) print(rows ...[]any) error {
	shown := &metav1.Table{ColumnDefinitions: t.columns}
	for _, cells := range rows {
		shown.Rows = append(shown.Rows, metav1.TableRow{Cells: cells})
	}
	if err := t.printer.PrintObj(shown, t.out); err != nil {
		return err
	}
	return t.out.Flush()
}
