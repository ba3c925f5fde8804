#!/bin/bash
# Microsoft.AspNetCore.Grpc.JsonTranscoding 10.0.15 with Grpc.AspNetCore 2.85.0 (NuGet): over JSON a method whose answer has a Duration of minus half a second ends with status
# 500, after it has done its work. A stream is cut off there, and a request with such a duration is refused.
#
# Time left until a deadline, a clock's difference, a change in latency: a google.protobuf.Duration may be below zero. The transcoding writes whole seconds below zero, -2s, and
# everything above. With a fraction of a second below zero it throws "Non-normalized duration value" while it writes the answer. The caller sees 500 and "Exception was thrown by
# handler", and cannot tell that the work was done. A caller who tries again has it done twice. A stream that has begun with status 200 ends with a line that is an error.
# The same text in a request is a 400, "Invalid Duration value".
# Why one would guess otherwise: the value is normalized by Duration's own documentation, seconds and nanos have the same sign, and Duration.FromTimeSpan made it. The same method
# answers over gRPC, and Google.Protobuf's JsonFormatter and JsonParser, whose format the transcoding speaks, write and read it as "-0.500s". A test with times above zero
# or with whole seconds shows nothing. Microsoft's pages on the transcoding name no such limit, and no issue on it was found.
#
# Right results: those over gRPC, and the text of Google.Protobuf. Until then: a number of seconds as double or of milliseconds as int64 instead of a Duration that may be below zero.
#
# Seen (each method call ran to its end, over JSON too):
#   duration     over gRPC     Google.Protobuf     answer over JSON     as a request over JSON
#   1.5 s        1.5 s         "1.500s"            200 "1.500s"         200, 1.5 s
#   -2 s         -2 s          "-2s"               200 "-2s"            200, -2 s
#   -0.5 s       -0.5 s        "-0.500s"           500                  400
#   -1.5 s       -1.5 s        "-1.500s"           500                  400
#   a stream of 1, 0.5, 0, -0.5, -1 s:  200 with "1s", "0.500s", "0s" and an error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 NUGET_PACKAGES="$folder/nuget" TMPDIR="$folder"

cat > app.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <IncludeHttpRuleProtos>true</IncludeHttpRuleProtos>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.AspNetCore.Grpc.JsonTranscoding" Version="[10.0.15]" />
    <PackageReference Include="Grpc.AspNetCore" Version="[2.85.0]" />
    <Protobuf Include="jobs.proto" />
  </ItemGroup>
</Project>
XML
cat > jobs.proto <<'PROTO'
syntax = "proto3";
option csharp_namespace = "Jobs";
package jobs;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";

message Late {
  google.protobuf.Duration left = 1;
}

message Seconds {
  double seconds = 1;
}

service Worker {
  rpc Finish(Seconds) returns (Late) {
    option (google.api.http) = { post: "/finish" body: "*" };
  }
  rpc Watch(Seconds) returns (stream Late) {
    option (google.api.http) = { post: "/watch" body: "*" };
  }
  rpc Set(Late) returns (Seconds) {
    option (google.api.http) = { post: "/set" body: "*" };
  }
}
PROTO
cat > Program.cs <<'CS'
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Jobs;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
    kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
});
builder.Services.AddGrpc().AddJsonTranscoding();
await using var app = builder.Build();
app.MapGrpcService<JobWorker>();
await app.StartAsync();
using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()), Timeout = TimeSpan.FromSeconds(30) };
using var channel = GrpcChannel.ForAddress(app.Urls.Last());
var worker = new Worker.WorkerClient(channel);

foreach (var seconds in (double[])[1.5, -2, -0.5, -1.5])
{
    var number = seconds.ToString(CultureInfo.InvariantCulture);
    var grpc = await worker.FinishAsync(new Seconds { Seconds_ = seconds }, deadline: DateTime.UtcNow.AddSeconds(30));
    var text = JsonFormatter.Default.Format(grpc);
    var before = JobWorker.Finished;
    var answer = await Post("/finish", $$"""{"seconds":{{number}}}""");
    var finished = JobWorker.Finished - before;
    var sent = await Post("/set", text);
    Console.WriteLine($"{number}: gRPC {grpc.Left.ToTimeSpan().TotalSeconds.ToString(CultureInfo.InvariantCulture)}, Google.Protobuf {Short(text)} {JsonParser.Default.Parse<Late>(text).Equals(grpc)}, " +
        $"finished {finished}, answer {answer}, as a request {sent}");
}
Console.WriteLine("stream: " + await Post("/watch", """{"seconds":1}"""));

async Task<string> Post(string path, string body)
{
    using var response = await http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));
    var lines = (await response.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    return $"{(int)response.StatusCode} {string.Join(" ", lines.Select(Short))}";
}

static string Short(string json)
{
    using var document = JsonDocument.Parse(json);
    var first = document.RootElement.EnumerateObject().First();
    return first.Name == "code" ? "code " + first.Value : first.Value.ToString();
}

namespace Jobs
{
    public sealed class JobWorker : Worker.WorkerBase
    {
        public static int Finished { get; private set; }

        public override Task<Late> Finish(Seconds request, ServerCallContext context)
        {
            Finished++;
            return Task.FromResult(new Late { Left = Duration.FromTimeSpan(TimeSpan.FromSeconds(request.Seconds_)) });
        }

        public override async Task Watch(Seconds request, IServerStreamWriter<Late> stream, ServerCallContext context)
        {
            for (var seconds = request.Seconds_; seconds >= -1; seconds -= 0.5)
                await stream.WriteAsync(new Late { Left = Duration.FromTimeSpan(TimeSpan.FromSeconds(seconds)) });
        }

        public override Task<Seconds> Set(Late request, ServerCallContext context) =>
            Task.FromResult(new Seconds { Seconds_ = request.Left.ToTimeSpan().TotalSeconds });
    }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = "1.5: gRPC 1.5, Google.Protobuf 1.500s True, finished 1, answer 200 1.500s, as a request 200 1.5
-2: gRPC -2, Google.Protobuf -2s True, finished 1, answer 200 -2s, as a request 200 -2
-0.5: gRPC -0.5, Google.Protobuf -0.500s True, finished 1, answer 500 code 2, as a request 400 code 3
-1.5: gRPC -1.5, Google.Protobuf -1.500s True, finished 1, answer 500 code 2, as a request 400 code 3
stream: 200 1s 0.500s 0s code 2" ] || { echo "the behaviour has changed"; exit 1; }
echo "a negative duration with a fraction is still neither written nor read over JSON"
