package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// maxCreateAnswer bounds the engine's answer to a create request, in bytes.
const maxCreateAnswer = 1 << 20

// createContainer has the engine create a container. Below API 1.44 a MAC address belongs to the whole container, in a
// field that the client no longer knows. A request with a MAC address is therefore written here.
func createContainer(ctx context.Context, api *client.Client,
	o client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	mac := macOf(o)
	version := api.ClientVersion()
	if mac == "" || !versions.LessThan(version, "1.44") {
		return api.ContainerCreate(ctx, o)
	}
	body, err := json.Marshal(struct {
		*container.CreateRequest
		MacAddress string
	}{&container.CreateRequest{Config: o.Config, HostConfig: o.HostConfig, NetworkingConfig: o.NetworkingConfig}, mac})
	if err != nil {
		return client.ContainerCreateResult{}, err
	}
	query := url.Values{"name": {o.Name}}
	if p := o.Platform; p != nil {
		query.Set("platform", path.Join(p.OS, p.Architecture, p.Variant))
	}
	return postCreate(ctx, api, "http://docker/v"+version+"/containers/create?"+query.Encode(), body)
}

func postCreate(ctx context.Context, api *client.Client, target string,
	body []byte) (made client.ContainerCreateResult, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return made, err
	}
	req.Header.Set("Content-Type", "application/json")
	dial := api.Dialer()
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return made, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxCreateAnswer))
	if err != nil {
		return made, err
	}
	if resp.StatusCode != http.StatusCreated {
		return made, refusal(resp.StatusCode, answer)
	}
	var r container.CreateResponse
	if err := json.Unmarshal(answer, &r); err != nil {
		return made, fmt.Errorf("the engine's answer: %w", err)
	}
	return client.ContainerCreateResult{ID: r.ID, Warnings: r.Warnings}, nil
}

// macOf returns the container's MAC address, which the mapping wrote at its first network; "": none.
func macOf(o client.ContainerCreateOptions) string {
	if o.NetworkingConfig == nil {
		return ""
	}
	for _, ep := range o.NetworkingConfig.EndpointsConfig {
		if len(ep.MacAddress) > 0 {
			return ep.MacAddress.String()
		}
	}
	return ""
}

// refusal turns an engine's answer into an error of the same class as the client's.
func refusal(status int, answer []byte) error {
	var said struct{ Message string }
	if json.Unmarshal(answer, &said) != nil || said.Message == "" {
		said.Message = fmt.Sprintf("the engine answers with status %d", status)
	}
	switch status {
	case http.StatusBadRequest:
		return cerrdefs.ErrInvalidArgument.WithMessage(said.Message)
	case http.StatusNotFound:
		return cerrdefs.ErrNotFound.WithMessage(said.Message)
	case http.StatusConflict:
		return cerrdefs.ErrConflict.WithMessage(said.Message)
	}
	return errors.New(said.Message)
}
