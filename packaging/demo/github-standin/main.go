// SPDX-License-Identifier: AGPL-3.0-or-later

// Command github-standin serves the parts of GitHub's API that castgate-keys
// uses, for the demo: on loopback, from a JSON file that is read anew at every
// request.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"castgate/keys/githubtest"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("github-standin: ")
	log.Fatal(run())
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "serve on the loopback `ADDRESS`")
	state := flag.String("state", "", "read the organisation from `FILE`")
	token := flag.String("token-file", "", "accept the token in `FILE`")
	flag.Parse()
	if *state == "" || *token == "" || flag.NArg() > 0 {
		return errors.New("-state FILE and -token-file FILE are needed, and nothing else")
	}
	l, err := loopback(*listen)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", l.Addr())
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: &githubtest.Server{
			State: func() (githubtest.State, error) { return githubtest.Read(*state) },
			Token: func() string {
				body, _ := os.ReadFile(*token)
				return strings.TrimSpace(string(body))
			},
		},
	}
	return srv.Serve(l)
}

func loopback(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		_ = l.Close()
		return nil, errors.New("listen: a stand-in belongs on loopback")
	}
	return l, nil
}
