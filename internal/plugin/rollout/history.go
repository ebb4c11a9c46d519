// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/mirrorset/mirrorset/internal/history"
	"github.com/mirrorset/mirrorset/internal/plugin/cluster"
	"github.com/mirrorset/mirrorset/internal/plugin/output"
	"github.com/mirrorset/mirrorset/internal/registriesconf"
)

// historyOptions are those of one run.
type historyOptions struct {
	cluster  cluster.Flags
	listing  output.Listing
	revision int64
}

func historyCommand() *cobra.Command {
	o := &historyOptions{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the revisions that all nodes were given, and which sets changed",
		Long: `List the revisions that all nodes were given, the latest last. For each revision, history shows the number
of sources with rules, and if all nodes have it, canaries try it or an undo names it. It also shows which sets
changed, when, and the field manager that changed them. A revision that canaries try is listed while they try it.`,
		Example: "  kubectl mirrors rollout history\n" +
			"  kubectl mirrors rollout history --revision=1795573438818",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              o.run,
	}
	o.cluster.Add(cmd)
	o.listing.AddFlags(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().Int64Var(&o.revision, "revision", 0, "print this revision in full, with its sets and its registries.conf")
	o.cluster.CompleteRevisions(cmd, "revision")
	return cmd
}

func (o *historyOptions) run(cmd *cobra.Command, _ []string) error {
	if err := o.listing.Check(); err != nil {
		return err
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	h, err := c.History(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if o.revision != 0 {
		r, err := h.Find(o.revision)
		if err != nil {
			return err
		}
		return o.printOne(cmd.OutOrStdout(), newEntry(h, r, true))
	}
	all := h.All()
	slices.Reverse(all) // the latest stands next to the prompt, as with kubectl
	entries := make([]entry, len(all))
	for i := range all {
		entries[i] = newEntry(h, &all[i], false)
	}
	return o.print(cmd, entries)
}

// entry is a record as it is printed. Its JSON is a promise: fields may be added.
type entry struct {
	Revision int64 `json:"revision"`
	// Name is that of the ControllerRevision, whether or not there is one yet.
	Name string `json:"name"`
	// Published is when its text was published first; absent where there is no record.
	Published *metav1.Time `json:"published,omitempty"`
	Digest    string       `json:"digest"`
	// States are AllNodes, Canaries and UndoneTo, as far as they hold.
	States []string `json:"states"`
	// Sources is how many sources it has rules for.
	Sources int `json:"sources"`
	// Changes are those that led to it from the one before.
	Changes []history.Change `json:"changes"`
	// Sets are those that it is of. Partial says that these, or the changes, are not known to be all.
	Sets    []history.Set `json:"sets"`
	Partial bool          `json:"partial,omitempty"`
	// Text is the registries.conf, where one revision is asked for.
	Text string `json:"registriesConf,omitempty"`
}

func newEntry(h *cluster.History, r *history.Record, all bool) entry {
	e := entry{Revision: r.Revision, Name: history.Name(r.Digest, r.SetsDigest), Digest: r.Digest, States: append([]string{}, h.States(r)...),
		Changes: append([]history.Change{}, r.Changes...), Sets: append([]history.Set{}, r.Sets...), Partial: r.Partial}
	if !r.Published.IsZero() {
		e.Published = &r.Published
	}
	if rules, err := registriesconf.Decode(r.Text); err == nil {
		e.Sources = len(rules)
	}
	if all {
		e.Text = string(r.Text)
	}
	return e
}

func (e *entry) say() string {
	if len(e.States) == 0 {
		return "<none>"
	}
	return strings.Join(e.States, ",")
}

var historyColumns = []metav1.TableColumnDefinition{
	{Name: "Revision", Type: "string"},
	{Name: "Age", Type: "string"},
	{Name: "Sources", Type: "integer"},
	{Name: "State", Type: "string"},
	{Name: "Changes", Type: "string"},
}

func (o *historyOptions) print(cmd *cobra.Command, entries []entry) error {
	out := cmd.OutOrStdout()
	switch o.listing.Name {
	case "json", "yaml":
		return output.Value(out, o.listing.Name, map[string]any{"revisions": entries})
	case "name":
		for i := range entries {
			printName(out, &entries[i])
		}
		return nil
	}
	if len(entries) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "There is no history in namespace %s: Mirrorset has published nothing there.\n", o.cluster.Installed())
		return nil
	}
	most := 2
	if o.listing.IsWide() {
		most = 10
	}
	now := time.Now()
	rows := make([][]any, len(entries))
	for i := range entries {
		e := &entries[i]
		age := "<unknown>"
		if e.Published != nil {
			age = duration.HumanDuration(now.Sub(e.Published.Time))
		}
		rows[i] = []any{strconv.FormatInt(e.Revision, 10), age, int64(e.Sources), e.say(), sayChanges(e.Changes, most, now)}
	}
	return o.listing.NewTable(out, historyColumns...).Print(rows...)
}

func printName(out io.Writer, e *entry) {
	fmt.Fprintf(out, "controllerrevision.apps/%s\n", e.Name)
}

// sayChanges names the first few.
func sayChanges(changes []history.Change, most int, now time.Time) string {
	if len(changes) == 0 {
		return "<none>"
	}
	said := make([]string, len(changes))
	for i := range changes {
		said[i] = sayChange(&changes[i])
		if at := changes[i].At; !at.IsZero() {
			said[i] += " " + duration.HumanDuration(now.Sub(at.Time)) + " ago"
		}
	}
	return output.FirstOf(said, most)
}

func sayChange(c *history.Change) string {
	text := setName(c.Kind, c.Name) + " " + c.What
	if c.By != "" {
		text += " by " + c.By
	}
	return text
}

// printOne prints all about a record.
func (o *historyOptions) printOne(out io.Writer, e entry) error {
	switch o.listing.Name {
	case "json", "yaml":
		return output.Value(out, o.listing.Name, e)
	case "name":
		printName(out, &e)
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	published := "<unknown>"
	if e.Published != nil {
		published = cluster.Clock(*e.Published)
	}
	fmt.Fprintf(table, "Revision:\t%d\nFirst published:\t%s\nDigest:\t%s\nState:\t%s\nSources:\t%d\n", e.Revision, published, e.Digest, e.say(), e.Sources)
	changes := make([]string, len(e.Changes))
	for i := range e.Changes {
		changes[i] = sayChange(&e.Changes[i])
		if at := e.Changes[i].At; !at.IsZero() {
			changes[i] += " at " + cluster.Clock(at)
		}
	}
	sets := make([]string, len(e.Sets))
	for i, s := range e.Sets {
		sets[i] = fmt.Sprintf("%s, generation %d", setName(s.Kind, s.Name), s.Generation)
		if s.Insecure != "" {
			sets[i] += ", with insecure mirrors"
		}
	}
	if e.Partial {
		sets = append(sets, "and maybe others, which were not recorded")
	}
	list(table, "Changes:", changes)
	list(table, "Sets:", sets)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprint(out, "\nregistries.conf:\n")
	for line := range strings.Lines(e.Text) {
		fmt.Fprintln(out, strings.TrimRight("  "+output.Harmless(strings.TrimSuffix(line, "\n")), " "))
	}
	return nil
}

// list prints values under each other.
func list(table io.Writer, title string, values []string) {
	if len(values) == 0 {
		values = []string{"<none>"}
	}
	for _, v := range values {
		fmt.Fprintf(table, "%s\t%s\n", title, v)
		title = ""
	}
}
