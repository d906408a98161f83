// BuildKit's own linter for Dockerfiles, without a build: `dockerfile-lint FILE...` prints what `docker build --check` would print, and exits 1 on any of it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// noRegistry answers for every base image without asking a registry: no rule needs what is inside of one.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os": "linux", "architecture": "amd64"}`), nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerfile-lint FILE...")
		os.Exit(2)
	}
	clean := true
	for _, path := range os.Args[1:] {
		clean = lint(path) && clean
	}
	if !clean {
		os.Exit(1)
	}
}

// lint prints what is wrong with one file, and says whether nothing was. A stage that no target needs is looked at too.
func lint(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	source := llb.NewSourceMap(nil, path, "Dockerfile", text)
	// The linter reads it, and it is set only where a build began.
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
		SourceMap:      source,
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		MetaResolver:   noRegistry{},
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
		return false
	}
	for _, warning := range results.Warnings {
		line := int32(1)
		if ranges := warning.Location.GetRanges(); len(ranges) > 0 {
			line = ranges[0].GetStart().GetLine()
		}
		fmt.Printf("%s:%d: %s: %s\n", path, line, warning.RuleName, warning.Detail)
	}
	if results.Error != nil {
		fmt.Printf("%s: %s\n", path, results.Error.Message)
	}
	return len(results.Warnings) == 0 && results.Error == nil
}
