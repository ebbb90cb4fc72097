// SPDX-License-Identifier: AGPL-3.0-or-later

package packaging_test

import (
	"os"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestWorkflow: continuous integration runs what anybody can run, and no more.
func TestWorkflow(t *testing.T) {
	text, err := os.ReadFile("../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var flow struct {
		Jobs map[string]struct {
			Steps []struct{ Uses, Run string }
		}
	}
	if err := yaml.Unmarshal(text, &flow); err != nil {
		t.Fatal(err)
	}
	var ran []string
	for _, job := range flow.Jobs {
		for _, step := range job.Steps {
			if step.Run != "" {
				ran = append(ran, step.Run)
			}
		}
	}
	want := []string{`docker run --rm --privileged --volume "$PWD:$PWD" --workdir "$PWD" debian:12 .ci/run`}
	if !slices.Equal(ran, want) {
		t.Errorf("it runs %q", ran)
	}
}
