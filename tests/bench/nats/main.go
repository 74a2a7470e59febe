// SPDX-License-Identifier: Apache-2.0

// Command nats-load publishes to NATS JetStream (file storage) the way rmq-load sends to a RocketMQ
// broker: CONNS connections, WINDOW messages in flight on each, every message acknowledged.
//
//	go install github.com/nats-io/nats-server/v2@latest
//	nats-server -a 127.0.0.1 -p 24222 -js -sd DIR &
//	go run . -url nats://127.0.0.1:24222 -conns 8 -window 64 -size 256 -seconds 6 -pid PID
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	url := flag.String("url", "nats://127.0.0.1:24222", "server")
	conns := flag.Int("conns", 1, "connections")
	window := flag.Int("window", 1, "messages in flight per connection")
	size := flag.Int("size", 256, "bytes per message")
	seconds := flag.Int("seconds", 6, "measured time")
	pid := flag.Int("pid", 0, "server process, for its CPU time")
	asJSON := flag.Bool("json", false, "print one JSON object")
	flag.Parse()

	admin, err := nats.Connect(*url)
	check(err)
	js, err := admin.JetStream()
	check(err)
	_ = js.DeleteStream("LOAD")
	_, err = js.AddStream(&nats.StreamConfig{Name: "LOAD", Subjects: []string{"load.*"}, Storage: nats.FileStorage})
	check(err)

	cpuBefore := cpuTicks(*pid)
	end := time.Now().Add(time.Duration(*seconds) * time.Second)
	counts := make([]int, *conns)
	var group sync.WaitGroup
	for c := range counts {
		group.Add(1)
		go func() {
			defer group.Done()
			counts[c] = publish(*url, *window, *size, end)
		}()
	}
	group.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	rate := total / *seconds
	micros := float64(cpuTicks(*pid)-cpuBefore) * 10_000 / float64(total)
	if *asJSON {
		check(json.NewEncoder(os.Stdout).Encode(map[string]any{"msgs_per_s": rate, "cpu_us_per_msg": micros}))
		return
	}
	fmt.Printf("acked %d msgs/s", rate)
	if *pid != 0 {
		fmt.Printf("  cpu %.2f us/msg", micros)
	}
	fmt.Println()
}

// publish sends until end, waiting for all of a window to be acknowledged before the next one.
func publish(url string, window, size int, end time.Time) int {
	conn, err := nats.Connect(url)
	check(err)
	defer conn.Close()
	js, err := conn.JetStream(nats.PublishAsyncMaxPending(window))
	check(err)
	body, acked := make([]byte, size), 0
	for time.Now().Before(end) {
		if window == 1 {
			_, err := js.Publish("load.a", body)
			check(err)
			acked++
			continue
		}
		for range window {
			_, err := js.PublishAsync("load.a", body)
			check(err)
		}
		<-js.PublishAsyncComplete()
		acked += window
	}
	return acked
}

// cpuTicks returns user plus system time of a process in hundredths of a second; 0 without a process.
func cpuTicks(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var user, system int
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return user + system
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
