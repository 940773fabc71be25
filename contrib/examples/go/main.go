// A client of a talea ledger, with nothing but the standard library of Go 1.19 or later.
//
//	TALEA_URL=http://127.0.0.1:8080 TALEA_TOKEN=... go run . [EVENTS]
//
// It registers an asset, opens accounts, posts, reads, and follows the events of its book up to the one with the seq
// EVENTS (5). Every step may be repeated: a second run changes nothing. What is worth copying: Client.Call and
// Client.Events.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	timeout = 35 * time.Second // the ledger answers 408 after 30
	silence = 45 * time.Second // an idle stream carries a comment every 10 to 15 s: after 45 it is dead
	tries   = 8
	book    = "examples/go"
)

// What the ledger takes and answers. An int64 holds every amount; metadata stays as it is in a json.RawMessage. (Sums
// of a trial balance may be larger: json.Number.)
type (
	object map[string]any // a body

	Amount struct {
		Minor int64  `json:"minor"`
		Asset string `json:"asset"`
	}
	Posting struct {
		Account   string `json:"account"`
		Direction string `json:"direction"`
		Amount    Amount `json:"amount"`
	}
	Draft struct {
		Book           string          `json:"book"`
		IdempotencyKey string          `json:"idempotency_key"`
		Postings       []Posting       `json:"postings"`
		Metadata       json.RawMessage `json:"metadata,omitempty"`
	}
	Posted struct {
		TxID         string `json:"tx_id"`
		Seq          int64  `json:"seq"`
		At           string `json:"at"`
		Deduplicated bool   `json:"deduplicated"`
	}
	Balance struct {
		Account string `json:"account"`
		Asset   string `json:"asset"`
		Balance string `json:"balance"` // decimal
	}
	History struct {
		Items []struct {
			Seq       int64  `json:"seq"`
			Direction string `json:"direction"`
			Amount    Amount `json:"amount"`
		} `json:"items"`
		Next *int64 `json:"next"`
	}
	Event struct {
		Seq     int64           `json:"seq"`
		Kind    string          `json:"kind"`
		Payload json.RawMessage `json:"payload"` // by kind
	}
)

// Refused is the ledger's verdict, which another try would not change; its envelope says why.
type Refused struct {
	Path       string
	Status     int
	Envelope   string
	RetryAfter string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s: %d %s", r.Path, r.Status, r.Envelope)
}

func refusal(path string, response *http.Response, text []byte) *Refused {
	return &Refused{path, response.StatusCode, string(text), response.Header.Get("Retry-After")}
}

type Client struct {
	URL, Token string
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, header ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return http.DefaultClient.Do(request)
}

// final tells whether another try is no use; 502 and 504 are a proxy's that found no ledger.
func final(err error) bool {
	var refused *Refused
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case 408, 429, 502, 503, 504:
		return false
	}
	return true
}

// pause doubles from 0.1 s to 5 s; random, so that clients that failed together do not return together.
// Retry-After may ask for more, up to a minute.
func pause(attempt int, err error) time.Duration {
	backoff := 5 * time.Second
	if attempt < 6 {
		backoff = 100 * time.Millisecond << attempt
	}
	backoff = backoff/2 + time.Duration(rand.Int63n(int64(backoff/2)))
	var refused *Refused
	if errors.As(err, &refused) {
		asked, _ := strconv.Atoi(refused.RetryAfter)
		if asked > 60 {
			asked = 60
		}
		if wait := time.Duration(asked) * time.Second; wait > backoff {
			return wait
		}
	}
	return backoff
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Call decodes the answer into answer, unless that is nil. Whether a try without an answer has done something is not
// known; but all that is sent here may be sent twice: a post has its idempotency key, and an asset or account that is
// there already is no error.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	var draft []byte
	if body != nil {
		var err error
		if draft, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for attempt := 0; ; attempt++ {
		text, err := c.try(ctx, method, path, draft)
		if err == nil && answer != nil {
			return json.Unmarshal(text, answer)
		}
		if err == nil || final(err) || attempt+1 == tries {
			return err
		}
		wait := pause(attempt, err)
		fmt.Printf("%v; again in %v\n", err, wait.Round(100*time.Millisecond))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// try asks once and returns the answer's body; what is not 2xx is a Refused.
func (c *Client) try(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = refusal(path, response, text)
	}
	return text, err
}

// Events hands the events behind the seq last to handle, each once, until that returns an error, which it returns. A
// stream ends whenever a process of the ledger is replaced; the next one begins behind the last event that was whole.
func (c *Client) Events(ctx context.Context, book string, last int64, handle func(Event) error) error {
	var handled error
	for attempt := 0; ; attempt++ {
		err := c.stream(ctx, book, last, func(event Event) error {
			attempt, last = 0, event.Seq
			handled = handle(event)
			return handled
		})
		if handled != nil || ctx.Err() != nil || final(err) {
			return err
		}
		// At least the 100 ms that the ledger asks for when it ends a stream ("retry: 100").
		wait := 100*time.Millisecond + pause(attempt, err)
		fmt.Printf("stream: %v; resuming behind event %d in %v\n", err, last, wait.Round(100*time.Millisecond))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// stream reads one event stream to its end, which is an error, too.
func (c *Client) stream(ctx context.Context, book string, last int64, handle func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	path := "/v1/books/" + url.PathEscape(book) + "/events"
	response, err := c.send(ctx, "GET", path, nil, "Last-Event-ID", strconv.FormatInt(last, 10))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		text, _ := io.ReadAll(response.Body)
		return refusal(path, response, text)
	}
	var data string
	lines := bufio.NewReader(response.Body) // no Scanner: an event may be some MiB
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		watchdog.Reset(silence)
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "data: ") { // the ledger sends one such line for each event
			data = line[len("data: "):]
		} else if line == "" && data != "" { // an empty line: the event is whole
			var event Event
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				return err
			}
			data = ""
			if err := handle(event); err != nil {
				return err
			}
		}
	}
}

// post names by the key what happened in your business (an order, a payment), so that a retry, also after a crash, has
// the same one. Never draw a random key for each try.
func post(ctx context.Context, c *Client, key string, minor int64) error {
	metadata, err := json.Marshal(object{"order": key})
	if err != nil {
		return err
	}
	amount := Amount{minor, "EUR"}
	draft := Draft{book, key, []Posting{{"tills/1", "debit", amount}, {"sales", "credit", amount}}, metadata}
	var posted Posted
	if err := c.Call(ctx, "POST", "/v1/transactions", draft, &posted); err != nil {
		return err
	}
	// True also when an earlier try of this call was committed and its answer was lost.
	fmt.Printf("posted %s: seq %d, deduplicated %t\n", key, posted.Seq, posted.Deduplicated)
	return nil
}

// readAccount escapes book and path, which may hold slashes, spaces, colons.
func readAccount(ctx context.Context, c *Client, path string) error {
	account := "/v1/books/" + url.PathEscape(book) + "/accounts/" + url.PathEscape(path)
	var balance Balance
	if err := c.Call(ctx, "GET", account+"/balance", nil, &balance); err != nil {
		return err
	}
	fmt.Printf("balance of %s: %s %s\n", balance.Account, balance.Balance, balance.Asset)
	for after, more := int64(0), true; more; {
		var page History
		if err := c.Call(ctx, "GET", fmt.Sprintf("%s/history?limit=2&after_seq=%d", account, after), nil, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			fmt.Printf("history: seq %d %s %d %s\n", item.Seq, item.Direction, item.Amount.Minor, item.Amount.Asset)
		}
		if more = page.Next != nil; more {
			after = *page.Next
		}
	}
	return nil
}

var errEnough = errors.New("that was the last event wanted")

// follow reads twice, as a consumer that is restarted: it keeps the last seq beside what it made of the events, best
// in the same transaction of its own database.
func follow(ctx context.Context, c *Client, until int64) error {
	var last int64
	for _, stop := range []int64{2, until} {
		if last >= stop || stop > until {
			continue
		}
		err := c.Events(ctx, book, last, func(event Event) error {
			fmt.Printf("event %d: %s %s\n", event.Seq, event.Kind, event.Payload)
			if last = event.Seq; last >= stop {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			return err
		}
		fmt.Printf("closed behind event %d\n", last)
	}
	return nil
}

func run(ctx context.Context, c *Client, until int64) error {
	asset := object{"id": "EUR", "class": "fiat", "precision": 2, "name": "Euro"}
	if err := c.Call(ctx, "POST", "/v1/assets", asset, nil); err != nil {
		return err
	}
	for _, account := range []object{
		{"book": book, "path": "tills/1", "asset": "EUR", "kind": "asset", "normal_side": "debit", "min_balance": 0},
		{"book": book, "path": "sales", "asset": "EUR", "kind": "income", "normal_side": "credit"},
	} {
		if err := c.Call(ctx, "POST", "/v1/accounts", account, nil); err != nil {
			return err
		}
	}
	fmt.Println("EUR is registered, tills/1 and sales are open")
	for _, order := range []struct {
		key   string
		minor int64 // minor units: 1250 is 12.50 EUR
	}{{"order-1", 1250}, {"order-2", 399}, {"order-3", 9007199254740993}, {"order-1", 1250}} {
		if err := post(ctx, c, order.key, order.minor); err != nil {
			return err
		}
	}
	if err := readAccount(ctx, c, "tills/1"); err != nil {
		return err
	}
	return follow(ctx, c, until)
}

func main() {
	c := &Client{URL: "http://127.0.0.1:8080", Token: os.Getenv("TALEA_TOKEN")}
	if u := os.Getenv("TALEA_URL"); u != "" {
		c.URL = strings.TrimRight(u, "/")
	}
	until := int64(5)
	if len(os.Args) > 1 {
		var err error
		if until, err = strconv.ParseInt(os.Args[1], 10, 64); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if err := run(context.Background(), c, until); err != nil {
		what := "no answer"
		if final(err) {
			what = "refused"
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}
