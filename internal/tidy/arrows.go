package tidy

import (
	"fmt"
	"slices"
	"strings"
)

// core is everything that an Engine is made of.
var core = []string{"mono", "wire", "pkt", "cc", "trace", "tcp", "ip", "neigh", "icmp", "autoconf"}

// host is the root package, github.com/handfast/handfast.
const host = "."

// arrows says which packages of this module a package may import. A package
// that has no files is no fault; one that imports others without a row is.
var arrows = map[string][]string{
	"mono":  nil,
	"wire":  nil,
	"pkt":   nil,
	"netem": {"mono"},
	"cc":    {"mono"},
	"trace": {"mono", "wire"},

	"trace/ladder": {"mono", "wire", "trace"},

	"tcp":      {"mono", "wire", "pkt", "cc", "trace"},
	"ip":       {"mono", "wire", "pkt"},
	"neigh":    {"mono", "wire", "pkt"},
	"icmp":     {"mono", "wire"},
	"autoconf": {"mono", "wire", "pkt"},

	"engine": core,
	"sim":    join(core, "engine", "netem"),

	"sim/grid":          join(core, "engine", "netem", "sim"),
	"sim/grid/cmd/grid": {"sim/grid"},
	"sim/shards":        nil,
	"sim/cmd/seeds":     {"sim/shards"},

	"link":        {"mono", "wire", "pkt"},
	"link/pipe":   {"mono", "wire", "pkt", "link"},
	"link/tun":    {"mono", "wire", "pkt", "link"},
	"link/packet": {"mono", "wire", "pkt", "link"},
	"link/netem":  {"mono", "wire", "pkt", "link", "netem"},
	"link/pcap":   {"mono", "wire", "pkt", "link", "trace"},

	host:     join(core, "engine", "link"),
	"simnet": {host, "mono", "wire", "pkt", "trace", "trace/ladder", "netem", "link", "link/pipe", "link/netem", "link/pcap"},
	"socket": {host, "mono", "wire", "pkt", "tcp", "engine"},
	"dns":    nil,

	"internal/reference": nil,
	"internal/require":   nil,
	"internal/tidy":      nil,

	"internal/requirements":                  nil,
	"internal/requirements/cmd/requirements": {"internal/requirements", "internal/tidy"},
}

// support is what lies outside the arrows: packages for tests and tools. Only
// tests and other support may import it.
const support = "internal/"

// foreign says which packages outside the standard library and this module a
// package of the library may import. Tests may import all of golang.org/x.
var foreign = map[string][]string{
	"link/tun":         {"golang.org/x/sys/unix"},
	"link/packet":      {"golang.org/x/sys/unix"},
	"dns":              {"golang.org/x/net/dns/dnsmessage"},
	"internal/oracle":  {"golang.org/x/sys/unix"},
	"internal/require": {"golang.org/x/sys/unix"},
}

func join(a []string, b ...string) []string { return append(slices.Clone(a), b...) }

// checkArrows looks at the files of all systems; the package's test asks the go
// command about what is reached in the end.
func checkArrows(t *Tree) []Finding {
	var bad []Finding
	for _, f := range t.Files {
		if f.AST == nil || f.IsTestdata() || !f.InLibrary() {
			continue
		}
		for _, im := range f.AST.Imports {
			if text := arrow(f, importPath(im)); text != "" {
				bad = append(bad, t.at(im.Pos(), "%s", text))
			}
		}
	}
	return bad
}

// arrow returns what is wrong about f importing p, "" if nothing.
func arrow(f *File, p string) string {
	to, own := ownPackage(p)
	switch {
	case own && strings.HasPrefix(to, "cmd/"):
		return "the library imports the command"
	case own && f.IsTest():
		return "" // a test may look at everything
	case own:
		return ownArrow(f.Dir(), to)
	case isStandard(p):
		return ""
	case f.IsTest() && strings.HasPrefix(p, "golang.org/x/"):
		return ""
	case !slices.Contains(foreign[f.Dir()], p):
		return fmt.Sprintf("%s imports %s, which is neither ours nor the standard library's", f.Dir(), p)
	}
	return ""
}

func ownArrow(from, to string) string {
	allowed, known := arrows[from]
	switch {
	case slices.Contains(allowed, to):
		return ""
	case !known && strings.HasPrefix(from, support):
		return ""
	case !known:
		return fmt.Sprintf("%s imports %s but has no row in the table of arrows", from, to)
	}
	return fmt.Sprintf("there is no arrow from %s to %s", from, to)
}

// ownPackage returns the directory of p in this module, and whether it is one.
func ownPackage(p string) (dir string, own bool) {
	if p == Module {
		return host, true
	}
	return strings.CutPrefix(p, Module+"/")
}

// isStandard reports whether p is a package of the standard library: those have
// no dot in their first element. "C" is not one of them.
func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return p != "C" && !strings.Contains(first, ".")
}
