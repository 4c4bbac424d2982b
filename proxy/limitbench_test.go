package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// BenchmarkLimits measures what limits cost a request, and what a refused one costs.
func BenchmarkLimits(b *testing.B) {
	many := rhumb.Limit{Rate: rhumb.Rate{Count: 1000000, Per: time.Second}, Burst: 100000, Connections: 1000}
	for name, limits := range map[string][]rhumb.Limit{"none": nil, "kept": {many}, "refused": {few}} {
		b.Run(name, func(b *testing.B) {
			addr := freeAddr(b)
			table := limitedTo(1, addr, rhumb.HTTP, web(b, "a", nil), limits...)
			apply(b, start(b, proxy.Options{}), table)
			c := clientOf(b, false)
			refused := 0
			for b.Loop() {
				resp, err := c.Get("http://" + addr.String() + "/cart/7?ref=mail")
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode == http.StatusTooManyRequests {
					refused++
				}
			}
			if name != "refused" && refused > 0 {
				b.Errorf("%d refused", refused)
			}
		})
	}
}
