// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// ErrUnseen is of an agent that does not see the pulls of its node.
var ErrUnseen = errors.New("the agent does not see the pulls of this node")

// CopyPulls copies what an agent answers on its socket: the pulls that it saw, and with watch those that begin or change until the agent or the context
// ends.
func CopyPulls(ctx context.Context, path string, watch bool, out io.Writer) error {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}
	url := "http://agent" + pullsPath
	if watch {
		url += "?watch=true"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no agent answers on %s: %w", path, errors.Unwrap(err)) // without the URL, which is not a real one
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	if answer.StatusCode != http.StatusOK {
		return refusal(answer)
	}
	switch _, err = io.Copy(out, answer.Body); {
	case err == nil && watch, errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the agent has ended")
	}
	return err
}

// refusal is what the agent says.
func refusal(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return err
	}
	said := strings.TrimSpace(string(text))
	if answer.StatusCode == unseen {
		return fmt.Errorf("%w: %s", ErrUnseen, said)
	}
	return fmt.Errorf("the agent answered %s: %s", answer.Status, said)
}
