// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"

	"github.com/mirrorset/mirrorset/internal/plugin/output"
)

// credentials are those that Podman's and Docker's logins left, as Podman finds them: by the longest path that they are for.
// Each repository is looked up once, and a credential helper gets as long as a registry to answer.
type credentials struct {
	timeout time.Duration
	file    string // to be used alone; empty where there is none

	mu     sync.Mutex
	known  map[string]func() (authn.AuthConfig, error)
	silent map[string]error // the registries whose credential helpers do not answer
}

func newCredentials(timeout time.Duration, file string) *credentials {
	if file == "" {
		file = os.Getenv("REGISTRY_AUTH_FILE")
	}
	return &credentials{timeout: timeout, file: file, known: make(map[string]func() (authn.AuthConfig, error)), silent: make(map[string]error)}
}

// of returns the credentials for a repository; none are no error.
func (c *credentials) of(ctx context.Context, repository string) (authn.AuthConfig, error) {
	c.mu.Lock()
	found := c.known[repository]
	if found == nil {
		found = sync.OnceValues(func() (authn.AuthConfig, error) { return c.lookUp(ctx, repository) })
		c.known[repository] = found
	}
	c.mu.Unlock()
	return found()
}

// lookUp gives up on a credential helper that does not answer, and does not ask it for other repositories. The library that reads the files
// and runs the helpers knows no context.
func (c *credentials) lookUp(ctx context.Context, repository string) (authn.AuthConfig, error) {
	registry, _, _ := strings.Cut(repository, "/")
	c.mu.Lock()
	err := c.silent[registry]
	c.mu.Unlock()
	if err != nil {
		return authn.AuthConfig{}, err
	}
	type answer struct {
		found authn.AuthConfig
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		found, err := leftCredentials(c.file, registry, repository)
		answers <- answer{found, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return authn.AuthConfig{}, fmt.Errorf("the credentials for %s cannot be read: %w", registry, a.err)
		}
		return a.found, nil
	case <-ctx.Done():
		return authn.AuthConfig{}, context.Cause(ctx)
	case <-time.After(c.timeout):
	}
	err = fmt.Errorf("the credential helper for %s did not answer within %s", registry, c.timeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent[registry] = err
	return authn.AuthConfig{}, err
}

// leftCredentials reads Podman's files and then Docker's. Docker can have one store for all registries, which
// Podman's library does not know. A file that is named is read alone.
func leftCredentials(file, registry, repository string) (authn.AuthConfig, error) {
	found, err := config.GetCredentials(&types.SystemContext{AuthFilePath: file}, repository)
	if err != nil || found != (types.DockerAuthConfig{}) || file != "" {
		return authn.AuthConfig{Username: found.Username, Password: found.Password, IdentityToken: found.IdentityToken}, err
	}
	docker, err := dockerconfig.Load(os.Getenv("DOCKER_CONFIG"))
	if err != nil || docker.CredentialsStore == "" {
		return authn.AuthConfig{}, err
	}
	stored, err := docker.GetAuthConfig(registry)
	return authn.AuthConfig{Username: stored.Username, Password: stored.Password, IdentityToken: stored.IdentityToken}, err
}

// whence names for people where the credentials are from.
func (c *credentials) whence() string {
	if c.file != "" {
		return "in " + output.Printable(c.file)
	}
	return "stored by podman login and docker login"
}

// checkAuthFile tells what is wrong with a file of credentials. That of the environment may be absent, as Podman has it.
func checkAuthFile(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--authfile %w", output.PrintablePath(err))
	}
	var content struct {
		Auths       map[string]json.RawMessage `json:"auths"`
		CredHelpers map[string]string          `json:"credHelpers"`
	}
	if json.Unmarshal(text, &content) != nil || content.Auths == nil && content.CredHelpers == nil {
		return fmt.Errorf("--authfile %s: the file must be JSON with auths or credHelpers: a file that podman login writes, or the .dockerconfigjson of a pull secret", output.Printable(file))
	}
	return nil
}
