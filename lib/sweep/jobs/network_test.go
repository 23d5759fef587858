package jobs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/sweep"
)

// sized is a grid whose cells take a while, so that something happens in their middle: some in all runs, many with
// LOUPE_HEAVY=1.
func sized(t *testing.T) sweep.Plan {
	t.Helper()
	models, conditions := 2, 14
	if testenv.IsHeavy() {
		models, conditions = 4, 40
	}
	return grid(t, models, conditions, "predictions", "steady")
}

// configured starts a server of NATS in a process of its own and waits until it answers.
func (s setting) configured(t *testing.T, role, config string, at Connection) *exec.Cmd {
	t.Helper()
	file := filepath.Join(s.folder, role+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := s.launch(t, role, part{Config: file})
	at.Wait = true
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	conn, _, err := at.dial(ctx, "test", t.Logf)
	if err != nil {
		t.Fatalf("the server %s does not answer: %v", role, err)
	}
	conn.Close()
	return cmd
}

// On a server that others use too there are workers of another version, sweeps of the same name, a worker that stands
// still for longer than its lease, and a coordinator that is killed and comes back. The table is that of one process.
func TestSharedServer(t *testing.T) {
	t.Parallel()
	p := sized(t)
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	at := Connection{URL: "nats://" + s.address, Wait: true}
	_, port, _ := strings.Cut(s.address, ":")
	s.configured(t, "server", fmt.Sprintf("listen: \"127.0.0.1:%s\"\njetstream { store_dir: %q }\n", port,
		filepath.Join(s.folder, "js")), at)
	coordinator := part{Store: s.store, At: at, Lease: time.Second, Version: "test"}
	worker := part{At: at, Version: "test", Cache: filepath.Join(s.folder, "cache")}
	old := worker
	old.Version = "0.0.1"
	s.launch(t, "old", old)
	alsoOld := old
	alsoOld.Sweep = "test"
	onlyThis := s.launch(t, "old-of-this-sweep", alsoOld)
	first := s.launch(t, "coordinator", coordinator)
	slow := s.launch(t, "slow", worker)
	s.launch(t, "steadfast", worker)
	some := func(n int) func() bool { return func() bool { return doneBy(t, s.store)[""] >= n } }
	eventually(t, "each worker has done a cell", func() bool {
		by := doneBy(t, s.store)
		return by["slow"] > 0 && by["steadfast"] > 0
	})

	// The same sweep at once, and another one of the same name.
	again := s.launch(t, "again", coordinator)
	if err := ended(t, again, time.Minute); err == nil || !s.has(t, "again", "the sweep test is being run by process") {
		t.Errorf("the same sweep at once: %v, %s", err, said(t, s, "again"))
	}
	elsewhere := coordinator
	elsewhere.Store = filepath.Join(s.folder, "elsewhere.db")
	planned(t, elsewhere.Store, p)
	other := s.launch(t, "elsewhere", elsewhere)
	if err := ended(t, other, time.Minute); err == nil || !s.has(t, "elsewhere", "another sweep test, begun elsewhere") {
		t.Errorf("another sweep of the same name: %v, %s", err, said(t, s, "elsewhere"))
	}

	// A worker stands still for longer than the lease. The other one goes on.
	if err := slow.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stood := doneBy(t, s.store)["steadfast"]
	time.Sleep(2*coordinator.Lease + time.Second)
	eventually(t, "the other worker goes on", func() bool { return doneBy(t, s.store)["steadfast"] > stood })
	if err := slow.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}

	// The coordinator is killed, and workers go on meanwhile.
	n := doneBy(t, s.store)[""]
	if first.Process.Kill(); first.Wait() == nil {
		t.Errorf("all was done, with %d cells of %d, before the coordinator was killed", n, len(want))
	}
	back := s.launch(t, "coordinator", coordinator)
	eventually(t, "it goes on", some(n))
	if err := ended(t, back, 5*time.Minute); err != nil {
		t.Errorf("the coordinator that came back: %v", err)
	}
	same(t, rows(t, s.store), want)
	if by := doneBy(t, s.store); by["old"]+by["old-of-this-sweep"] > 0 {
		t.Errorf("a worker of another version took part: %v", by)
	}
	const sentence = "the sweep test was planned by loupe test (protocol 1), and this worker is loupe 0.0.1 (1): install the " +
		"same here"
	if got := strings.Count(said(t, s, "old"), sentence); got != 1 {
		t.Errorf("a worker of another version says so %d times: %s", got, said(t, s, "old"))
	}
	if err := ended(t, onlyThis, time.Minute); err == nil || !s.has(t, "old-of-this-sweep", sentence) {
		t.Errorf("a worker of another version that is for this sweep alone: %v, %s", err, said(t, s, "old-of-this-sweep"))
	}
	if got := strings.Count(said(t, s, "coordinator"), "coordinator: old: "+sentence); got < 1 || got > 2 {
		t.Errorf("the coordinator, of which there were two, says so %d times: %s", got, said(t, s, "coordinator"))
	}
}

// ip changes the network, and skips the test where that is not allowed.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Skipf("skipped: needs Linux, root and iproute2 for network namespaces: ip %s: %v %s", strings.Join(args, " "), err,
			out)
	}
}

// namespaces makes network namespaces, the first of which has a link to each of the others. It returns their names, the
// first one's ends of the links, and its addresses on them.
func namespaces(t *testing.T, others int) (names, links, addresses []string) {
	t.Helper()
	id := fmt.Sprintf("loupe%d", os.Getpid())
	for i := range others + 1 {
		name := fmt.Sprintf("%s-%d", id, i)
		ip(t, "netns", "add", name)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
		ip(t, "-n", name, "link", "set", "lo", "up")
		names = append(names, name)
	}
	for i, name := range names[1:] {
		link := fmt.Sprintf("l%d", i)
		ip(t, "-n", names[0], "link", "add", link, "type", "veth", "peer", "name", "l", "netns", name)
		address := fmt.Sprintf("10.213.%d.1", i)
		ip(t, "-n", names[0], "addr", "add", address+"/24", "dev", link)
		ip(t, "-n", name, "addr", "add", fmt.Sprintf("10.213.%d.2/24", i), "dev", "l")
		ip(t, "-n", names[0], "link", "set", "dev", link, "up")
		ip(t, "-n", name, "link", "set", "dev", "l", "up")
		links, addresses = append(links, link), append(addresses, address)
	}
	return names, links, addresses
}

// The coordinator and its workers are on networks of their own. One worker's link is cut in the middle of its work for
// longer than its lease: its cell goes to the other one. Then it is joined again, and the worker takes part again.
func TestCutNetwork(t *testing.T) {
	t.Parallel()
	names, links, addresses := namespaces(t, 2)
	p := sized(t)
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	in := func(i int) []string { return []string{"ip", "netns", "exec", names[i]} }
	coordinator := s.launch(t, "coordinator", part{Store: s.store, Folder: s.folder, Listen: "0.0.0.0:4222",
		Lease: time.Second, Version: "test"}, in(0)...)
	eventually(t, "the coordinator has written what workers need", func() bool {
		_, err := os.Stat(filepath.Join(s.folder, caFile))
		return err == nil
	})
	for i, role := range []string{"stays", "cut"} {
		s.launch(t, role, part{At: Connection{URL: "tls://" + addresses[i] + ":4222", NKey: filepath.Join(s.folder, nkeyFile),
			CA: filepath.Join(s.folder, caFile), Wait: true}, Version: "test", Cache: filepath.Join(s.folder, role)},
			in(i+1)...)
	}
	eventually(t, "both workers have done cells", func() bool {
		by := doneBy(t, s.store)
		return by["stays"] > 0 && by["cut"] > 1
	})
	ip(t, "-n", names[0], "link", "set", "dev", links[1], "down")
	// What came before comes in; then nothing of that worker for some leases, while the other one goes on.
	before, since := doneBy(t, s.store), time.Now()
	eventually(t, "a worker that is cut off does no cells for three leases, and the other one does", func() bool {
		now := doneBy(t, s.store)
		if now["cut"] != before["cut"] {
			before, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second && now["stays"] > before["stays"]
	})
	if now := doneBy(t, s.store); now[""] == len(want) {
		t.Error("all was done before the link was joined again")
	}
	ip(t, "-n", names[0], "link", "set", "dev", links[1], "up")
	if err := ended(t, coordinator, 5*time.Minute); err != nil {
		t.Errorf("the coordinator: %v", err)
	}
	if testenv.IsHeavy() {
		if now := doneBy(t, s.store); now["cut"] <= before["cut"] {
			t.Errorf("a worker that is joined again does nothing: %d cells, as before", now["cut"])
		}
	}
	same(t, rows(t, s.store), want)
}

// A server that is killed and comes back with an empty disk is given the cells again that the store does not have.
func TestServerThatLostItsDisk(t *testing.T) {
	t.Parallel()
	p := grid(t, 1, 12, "steady")
	want := alone(t, p)
	s := newSetting(t)
	planned(t, s.store, p)
	at := Connection{URL: "nats://" + s.address, Wait: true}
	_, port, _ := strings.Cut(s.address, ":")
	disk := filepath.Join(s.folder, "js")
	config := fmt.Sprintf("listen: \"127.0.0.1:%s\"\njetstream { store_dir: %q }\n", port, disk)
	server := s.configured(t, "server", config, at)
	coordinator := s.launch(t, "coordinator", part{Store: s.store, At: at, Lease: time.Second, Version: "test"})
	s.launch(t, "worker", part{At: at, Version: "test", Cache: filepath.Join(s.folder, "cache")})
	eventually(t, "a cell is done", func() bool { return doneBy(t, s.store)[""] > 0 })
	server.Process.Kill()
	server.Wait()
	if err := os.RemoveAll(disk); err != nil {
		t.Fatal(err)
	}
	s.configured(t, "server", config, at)
	if err := ended(t, coordinator, 2*time.Minute); err != nil {
		t.Errorf("the coordinator: %v", err)
	}
	if !s.has(t, "coordinator", "the server has lost the sweep") {
		t.Errorf("the coordinator says %s", said(t, s, "coordinator"))
	}
	same(t, rows(t, s.store), want)
}
