module example.com/talea-client

go 1.19
