"""The test stack: real servers for every document backend, started when a test first asks, and faults on the way to them."""
