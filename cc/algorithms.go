package cc

// algorithms are those that ByName knows, in the order of Names.
var algorithms = [...]Algorithm{NewReno{}, Cubic{}, BBR{}}

// ByName returns the algorithm that calls itself name, as in the sysctl
// net.ipv4.tcp_congestion_control ("reno", "cubic", "bbr"); false if there is none.
func ByName(name string) (Algorithm, bool) {
	for _, a := range algorithms {
		if a.Name() == name {
			return a, true
		}
	}
	return nil, false
}

// Names returns what ByName knows, the oldest first. The slice is the caller's.
func Names() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.Name()
	}
	return names
}
