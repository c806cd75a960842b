package term

import (
	"bytes"
	"os"
	"testing"
)

// What is no terminal gets no colours, and the width and characters that the
// environment asks for.
func TestLook(t *testing.T) {
	for _, x := range []struct {
		name string
		env  map[string]string
		want Output
	}{
		{"nothing known", nil, Output{Width: 80}},
		{"UTF-8", map[string]string{"LANG": "de_DE.UTF-8"}, Output{Width: 80}},
		{"utf8", map[string]string{"LC_CTYPE": "C.utf8", "LANG": "C"}, Output{Width: 80}},
		{"C", map[string]string{"LANG": "C"}, Output{Width: 80, ASCII: true}},
		{"LC_ALL counts first", map[string]string{"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, Output{Width: 80, ASCII: true}},
		{"GBK", map[string]string{"LANG": "zh_CN.GBK"}, Output{Width: 80, ASCII: true}},
		{"columns", map[string]string{"COLUMNS": "100"}, Output{Width: 100}},
		{"narrow", map[string]string{"COLUMNS": "10"}, Output{Width: MinWidth}},
		{"wide", map[string]string{"COLUMNS": "1000"}, Output{Width: MaxWidth}},
		{"no number", map[string]string{"COLUMNS": "many"}, Output{Width: 80}},
	} {
		env := func(name string) string { return x.env[name] }
		if got := Look(new(bytes.Buffer), env); got != x.want {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := Look(f, func(string) string { return "" }); got.Terminal || got.Color {
		t.Errorf("a file is taken for a terminal: %+v", got)
	}
}

// Paint paints only where colours are welcome.
func TestPaint(t *testing.T) {
	if got := (Output{Color: true}).Paint(Bold, "x"); got != "\x1b[1mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := (Output{}).Paint(Bold, "x"); got != "x" {
		t.Errorf("%q", got)
	}
}
