// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	mirrorsetv1alpha1 "github.com/mirrorset/mirrorset/api/mirrorset/v1alpha1"
)

// atOnce is how many nodes are tried at the same time. They mostly wait.
const atOnce = 4

// result is the result of one fault.
type result struct {
	said [2]string
	took [2]time.Duration // to recover: with the agent running meanwhile, and with one that was started on the sick host
	err  error
}

func tryAll(ctx context.Context, c *cluster, wanted func(i int, name string) bool, verbose bool) error {
	healthy, err := c.healthy(ctx)
	if err != nil {
		return fmt.Errorf("without a fault: %w", err)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed []error
	tried := 0
	var slowest time.Duration
	free := make(chan struct{}, atOnce)
	for i, f := range faults() {
		if !wanted(i, f.name) {
			continue
		}
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			r := c.try(ctx, f, fmt.Sprintf("disk-%d", i), healthy)
			mu.Lock()
			defer mu.Unlock()
			tried += 2
			slowest = max(slowest, r.took[0], r.took[1])
			fmt.Printf("%5.1f s %5.1f s  %s\n", r.took[0].Seconds(), r.took[1].Seconds(), f.name)
			if verbose {
				fmt.Println(r.said[0])
			}
			if r.err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", f.name, r.err))
				fmt.Printf("LOST %s\n", r.err)
			}
		})
	}
	group.Wait()
	fmt.Printf("tried %d times, %d lost; all was well again within %.1f s\n", tried, len(failed), slowest.Seconds())
	if tried == 0 {
		failed = append(failed, errors.New("no fault has such a name"))
	}
	return errors.Join(failed...)
}

// healthy returns what a host without a fault has of each of the sets.
func (c *cluster) healthy(ctx context.Context) (trees [2]tree, err error) {
	n, err := newNode(ctx, c, "healthy")
	if err != nil {
		return trees, err
	}
	defer func() { err = errors.Join(err, n.discard()) }()
	if err := n.start(); err != nil {
		return trees, err
	}
	defer func() { err = errors.Join(err, n.process.stop()) }()
	for _, which := range []int{0, 1, 0, 1} { // each is changed to the other
		if err := n.publish(ctx, which); err != nil {
			return trees, err
		}
		if err := n.awaitInForce(ctx, nil); err != nil {
			return trees, err
		}
		if trees[which], err = n.read(); err != nil {
			return trees, err
		}
	}
	return trees, nil
}

// awaitInForce waits until all that was published is in force, and the host is as it should be.
func (n *node) awaitInForce(ctx context.Context, want tree) error {
	err := n.await(ctx, "all is in force", func() (bool, error) {
		s, err := n.status(ctx)
		if err != nil || !n.inForce(s) {
			return false, errors.Join(err, errors.New(text(s)))
		}
		if want == nil {
			return true, nil
		}
		is, err := n.read()
		if wrong := is.unlike(want); len(wrong) > 0 {
			return false, errors.Join(err, errors.New(strings.Join(wrong, "\n")))
		}
		return err == nil, err
	})
	return err
}

// try has a node get a fault twice: while its agent runs, and before one starts.
func (c *cluster) try(ctx context.Context, f fault, name string, healthy [2]tree) (r result) {
	n, err := newNode(ctx, c, name)
	if err != nil {
		return result{err: err}
	}
	n.limits = f.limits
	defer func() { r.err = errors.Join(r.err, n.discard()) }()
	if r.err = errors.Join(n.publish(ctx, 0), n.start()); r.err != nil {
		return r
	}
	defer func() {
		if r.err = errors.Join(r.err, n.process.stop()); r.err != nil {
			r.err = fmt.Errorf("%w\n%s", r.err, last(n.process.log()))
		}
	}()
	if r.err = n.await(ctx, "the first files are there", func() (bool, error) {
		is, err := n.read()
		return len(is.unlike(healthy[0])) == 0, err
	}); r.err != nil {
		return r
	}
	for i := range r.took {
		from, to := i, 1-i
		if r.said[i], r.took[i], r.err = n.once(ctx, f, healthy[from], healthy[to], to, i == 1); r.err != nil {
			r.err = fmt.Errorf("with an agent that %s: %w", []string{"runs", "starts"}[i], r.err)
			return r
		}
	}
	return r
}

// last returns the end of a log.
func last(log string) string {
	const most = 4000
	return log[max(0, len(log)-most):]
}

func (n *node) once(ctx context.Context, f fault, before, after tree, to int, restart bool) (said string, took time.Duration, err error) {
	lastRevision := n.revision
	if restart {
		n.process.kill()
	}
	mend, err := f.make(n)
	if err != nil {
		return "", 0, fmt.Errorf("bringing it about: %w", err)
	}
	trap, err := setTrap(n.outside())
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, trap.close()) }()
	if err := n.publish(ctx, to); err != nil {
		return "", 0, err
	}
	if restart {
		if err := errors.Join(n.forget(ctx), n.start()); err != nil {
			return "", 0, err
		}
	}
	if said, err = n.awaitWords(ctx, f); err != nil {
		return said, 0, err
	}
	if err := n.judge(ctx, f, before, after, lastRevision); err != nil {
		return said, 0, err
	}
	if n, err := trap.sprung(); err != nil || n > 0 {
		return said, 0, errors.Join(err, errors.New("somebody was in a folder that has nothing to do with the agent"))
	}
	if f.limits[0] != "" {
		err = limitInotify(n.process.cmd.Process.Pid, "100", "1000")
	}
	if err := errors.Join(err, mend()); err != nil {
		return said, 0, fmt.Errorf("mending it: %w", err)
	}
	mended := time.Now()
	err = n.awaitInForce(ctx, after)
	return said, time.Since(mended), err
}

// forget deletes the node's last report, so that an agent must report again.
func (n *node) forget(ctx context.Context) error {
	object := &mirrorsetv1alpha1.MirrorNode{}
	object.Name = n.name
	return errors.Join(n.admin.Delete(ctx, object), n.admin.Create(ctx, func() *mirrorsetv1alpha1.MirrorNode {
		fresh := &mirrorsetv1alpha1.MirrorNode{}
		fresh.Name = n.name
		return fresh
	}()))
}

// awaitWords waits until the node and the agent's log say what they have to.
func (n *node) awaitWords(ctx context.Context, f fault) (said string, err error) {
	err = n.await(ctx, fmt.Sprintf("the node and the log say %q", f.says), func() (bool, error) {
		if err := n.open(f); err != nil {
			return false, &final{err}
		}
		s, err := n.status(ctx)
		if said = text(s); err != nil {
			return false, err
		}
		if len(f.says) == 0 {
			return s.Revision == n.revision, nil
		}
		log := strings.ReplaceAll(n.process.log(), `\"`, `"`)
		for _, words := range f.says {
			if !strings.Contains(said, words) || !strings.Contains(log, words) {
				return false, errors.New(said)
			}
		}
		_, err = os.Stat(n.root + ".ready")
		return err == nil, err
	})
	return said, err
}

// judge looks at a sick host: at its files, and at what the agent's metrics say.
func (n *node) judge(ctx context.Context, f fault, before, after tree, lastRevision int64) error {
	if err := n.await(ctx, "each file is as before or as it is to be", func() (bool, error) { // while others are still written
		if err := n.open(f); err != nil {
			return false, &final{err}
		}
		wrong, err := n.torn(before, after, f)
		if err == nil && len(wrong) > 0 {
			err = errors.New(strings.Join(wrong, "\n"))
		}
		return err == nil, err
	}); err != nil {
		return err
	}
	metrics, err := n.scrape(ctx)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	up := "0"
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port)); err == nil {
		up = "1"
		_ = conn.Close() // nothing was sent
	}
	if got := metrics["mirrorset_agent_redirector_up"]; got != up {
		return fmt.Errorf("mirrorset_agent_redirector_up is %s, and should be %s", got, up)
	}
	var followed float64
	if _, err := fmt.Sscan(metrics["mirrorset_agent_revision"], &followed); err != nil || followed != 0 && followed != float64(lastRevision) && followed != float64(n.revision) {
		return fmt.Errorf("mirrorset_agent_revision is %q, and neither %d nor %d: %w", metrics["mirrorset_agent_revision"], lastRevision, n.revision, err)
	}
	return nil
}

var sample = regexp.MustCompile(`(?m)^(mirrorset_\w+) (\S+)$`)

// scrape returns the agent's metrics that have no labels.
func (n *node) scrape(ctx context.Context) (values map[string]string, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, // as config/prometheus does
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+n.token)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	values = make(map[string]string)
	for _, match := range sample.FindAllStringSubmatch(string(body), -1) {
		values[match[1]] = match[2]
	}
	return values, err
}
