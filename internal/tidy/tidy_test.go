package tidy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/handfast/handfast/internal/tidy"
)

// The repository keeps every rule.
func TestRepository(t *testing.T) {
	root, err := tidy.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := tidy.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) == 0 {
		t.Fatalf("no files below %s: the rules looked at nothing", root)
	}
	for _, r := range tidy.Rules() {
		t.Run(r.Name, func(t *testing.T) {
			fail, warn := r.Run(tree)
			for _, f := range warn {
				t.Logf("worth a look: %v", f)
			}
			for _, f := range fail {
				t.Error(f)
			}
			if len(fail) > 0 {
				t.Logf("the rule: %s", r.Sentence)
			}
		})
	}
	for _, e := range tree.Excuses() {
		t.Logf("excused: %v", e)
	}
}

// Each rule finds what it is there for, and leaves alone what it should: a rule
// that cannot fail would not be noticed otherwise.
func TestRules(t *testing.T) {
	tried := make(map[string]int)
	for _, ex := range examples() {
		t.Run(ex.rule+"/"+ex.name, func(t *testing.T) {
			fail, warn := run(t, ex)
			if len(fail) != len(ex.want) {
				t.Fatalf("%d findings, want %d: %v", len(fail), len(ex.want), fail)
			}
			for i, want := range ex.want {
				if !strings.Contains(fail[i].String(), want) {
					t.Errorf("finding %d is %q, want it to contain %q", i, fail[i], want)
				}
			}
			if got := len(warn) > 0; got != ex.warns {
				t.Errorf("warnings %v, want any: %v", warn, ex.warns)
			}
		})
		if len(ex.want) > 0 {
			tried[ex.rule]++
		}
	}
	for _, r := range tidy.Rules() {
		if tried[r.Name] == 0 {
			t.Errorf("rule %s has no example that breaks it", r.Name)
		}
	}
}

func run(t *testing.T, ex example) (fail, warn []tidy.Finding) {
	t.Helper()
	tree := tidy.NewTree()
	for _, f := range ex.files {
		tree.Add(f.path, []byte(f.src))
	}
	rules := tidy.Rules()
	i := slices.IndexFunc(rules, func(r tidy.Rule) bool { return r.Name == ex.rule })
	if i < 0 {
		t.Fatalf("there is no rule %q", ex.rule)
	}
	return rules[i].Run(tree)
}

// An excuse works only for a rule that accepts one.
func TestExcuse(t *testing.T) {
	const clock = "// Package tcp is.\npackage tcp\n\nimport \"time\"\n\n//tidy:allow core-clock we are in a hurry\nfunc f() { time.Sleep(1) }\n"
	fail, _ := run(t, example{rule: "core-clock", files: []file{{"tcp/a.go", clock}}})
	if len(fail) != 1 {
		t.Errorf("core-clock was excused: %v", fail)
	}
	const start = "package main\n\n//tidy:allow init the flag package is asked before main\nfunc init() {}\n\nfunc init() {}\n"
	fail, _ = run(t, example{rule: "init", files: []file{{"cmd/handfast/a.go", start}}})
	if len(fail) != 1 || fail[0].Line != 6 {
		t.Errorf("want the second init only, have %v", fail)
	}
}

// Outside a repository Load reads every text file below the root, and neither
// data nor links.
func TestLoad(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module " + tidy.Module + "\n", "a/b/c.go": "package b\n", "README.md": "text\n", "a/data": "\x00\x01", ".git/config": "x\n",
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := tidy.Root(filepath.Join(root, "a", "b")); err != nil || found != root {
		t.Errorf("Root is %q, %v, want %q", found, err, root)
	}
	if found, err := tidy.Root(filepath.Dir(root)); err == nil {
		t.Errorf("Root above the module is %q, want an error", found)
	}
	tree, err := tidy.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range tree.Files {
		have = append(have, f.Path)
	}
	slices.Sort(have)
	if want := []string{"README.md", "a/b/c.go", "go.mod"}; !slices.Equal(have, want) {
		t.Errorf("loaded %q, want %q", have, want)
	}
}

// What the library reaches in the end is the standard library, itself and
// golang.org/x, and the root package of the last only sys.
func TestDependencies(t *testing.T) {
	root, err := tidy.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []struct{ pattern, allowed string }{
		{"./...", "golang.org/x/"},
		{".", "golang.org/x/sys/"},
		{"./engine", "nothing"},
		{"./sim", "nothing"},
	} {
		deps := dependencies(t, root, pkg.pattern)
		for _, d := range unexpected(deps, pkg.allowed) {
			t.Errorf("go list -deps %s reaches %s", pkg.pattern, d)
		}
		t.Logf("go list -deps %s: %d packages outside the standard library", pkg.pattern, len(deps))
	}
}

// unexpected returns the packages that are neither the library's own nor below
// allowed.
func unexpected(deps []string, allowed string) []string {
	return slices.DeleteFunc(slices.Clone(deps), func(d string) bool {
		return d == tidy.Module || strings.HasPrefix(d, tidy.Module+"/") || strings.HasPrefix(d, allowed)
	})
}

// The check of dependencies tells ours from others', also by a similar name.
func TestUnexpected(t *testing.T) {
	deps := []string{tidy.Module, tidy.Module + "/wire", tidy.Module + "er/x", "golang.org/x/sys/unix", "example.org/y"}
	have := unexpected(deps, "golang.org/x/sys/")
	if want := []string{tidy.Module + "er/x", "example.org/y"}; !slices.Equal(have, want) {
		t.Errorf("unexpected are %q, want %q", have, want)
	}
}

func dependencies(t *testing.T, root, pattern string) []string {
	t.Helper()
	// -e: a package without files, or one that does not build on this system,
	// is not this test's business.
	cmd := exec.Command("go", "list", "-e", "-deps", "-f", "{{if and (not .Standard) .GoFiles}}{{.ImportPath}}{{end}}", pattern)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	return strings.Fields(string(out))
}
