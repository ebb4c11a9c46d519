// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"io"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
)

// Listing is how a verb prints what it lists: as a table, unless told otherwise.
type Listing struct {
	Format

	noHeaders bool
}

// AddFlags adds the flag -o with its formats, and the one about headers.
func (l *Listing) AddFlags(cmd *cobra.Command, formats ...string) {
	l.AddFlag(cmd, formats...)
	cmd.Flags().BoolVar(&l.noHeaders, "no-headers", false, "print tables without headers")
}

// IsTable reports whether people read the output.
func (l *Listing) IsTable() bool {
	return l.Name == "table" || l.IsWide()
}

// IsWide reports whether they want all columns.
func (l *Listing) IsWide() bool {
	return l.Name == "wide"
}

// Table prints rows as kubectl does. Those that come later keep to the columns of the first ones.
type Table struct {
	columns []metav1.TableColumnDefinition
	printer printers.ResourcePrinter
	out     interface {
		io.Writer
		Flush() error
	}
}

// NewTable returns a table with these columns; those with a priority are for the format wide.
func (l *Listing) NewTable(out io.Writer, columns ...metav1.TableColumnDefinition) *Table {
	return &Table{
		columns: columns,
		printer: printers.NewTablePrinter(printers.PrintOptions{Wide: l.IsWide(), NoHeaders: l.noHeaders}),
		out:     printers.GetNewTabWriter(out),
	}
}

// Print adds rows.
func (t *Table) Print(rows ...[]any) error {
	shown := &metav1.Table{ColumnDefinitions: t.columns}
	for _, cells := range rows {
		shown.Rows = append(shown.Rows, metav1.TableRow{Cells: cells})
	}
	if err := t.printer.PrintObj(shown, t.out); err != nil {
		return err
	}
	return t.out.Flush()
}
