#!/usr/bin/env bash
# Draws docs/images/*.svg anew: everything in them is predicted. From the repository's root, after a build in Release.
set -eu
plan() { dotnet src/Cli/bin/Release/net10.0/llamacluster.dll plan --shape llama-3.1-405b --quant q4_k_m "$@" > /dev/null; }
plan --cluster docs/clusters/eight-fast-machines.yaml --sweep workers=3..32 --svg docs/images/latency-by-workers-100gbe.svg
plan --cluster docs/clusters/sixteen-desktops.yaml --sweep workers=10..40 --svg docs/images/latency-by-workers-1gbe.svg
plan --cluster docs/clusters/eight-fast-machines.yaml --sweep link=1us..100ms --svg docs/images/latency-by-round-trip.svg
plan --cluster docs/clusters/eight-fast-machines.yaml --sweep link=100Mbit/s..400Gbit/s --svg docs/images/latency-by-bandwidth.svg
plan --cluster docs/clusters/sixteen-desktops.yaml --objective throughput --concurrency 16 --sweep workers=10..40 --svg docs/images/throughput-by-workers-1gbe.svg

# The console under load, light and dark: needs Debian's Chromium, and the npm packages that the tests have installed (tests/Testing/obj/clients).
cp tests/Integration.Tests/WebPage/console-pictures.mjs tests/Testing/obj/clients/
ready=$(mktemp)
dotnet src/Cli/bin/Release/net10.0/llamacluster.dll up --workers 3 --port 0 > "$ready" 2> /dev/null &
up=$!
until grep -q '^ready ' "$ready"; do sleep 0.2; done
node tests/Testing/obj/clients/console-pictures.mjs "$(cut -d' ' -f2 "$ready")" docs/images
kill "$up"
