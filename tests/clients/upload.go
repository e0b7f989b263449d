// Uploads five bytes to Perfect Corp with Go's net/http.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

func call(method, url, body string, headers map[string]string) *http.Response {
	request, _ := http.NewRequest(method, url, strings.NewReader(body))
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	return response
}

func main() {
	asked := call("POST", "https://yce-api-01.makeupar.com/s2s/v2.0/file",
		`{"files":[{"content_type":"image/jpg","file_name":"a.jpg","file_size":5}]}`,
		map[string]string{"Authorization": "Bearer k", "Content-Type": "application/json"})
	var answer struct {
		Data struct {
			Files []struct {
				Requests []struct {
					Url     string
					Headers map[string]string
				}
			}
		}
	}
	if err := json.NewDecoder(asked.Body).Decode(&answer); err != nil {
		panic(err)
	}
	upload := answer.Data.Files[0].Requests[0]
	fmt.Println("done", call("PUT", upload.Url, "12345", upload.Headers).StatusCode)
}
