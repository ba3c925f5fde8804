#!/bin/bash
# Grpc.Net.Client 2.85.0 and Grpc.Net.ClientFactory 2.85.0 (NuGet): a call that was told to wait until its server is there fails at once, if the channel was given an
# HttpClient, an HttpClientHandler or a handler with a ConnectCallback. The same call waits with a SocketsHttpHandler, or where no transport was given.
#
# CallOptions.WithWaitForReady() is for servers that start later or start anew: the call stays until there is a connection or its deadline is over. The choice of the transport
# switches this off. WithWaitForReady is taken, the call ends with Unavailable at the first refused connection, and nothing says that it did not wait: no exception of its own,
# no warning, and the status is the one that any call without the option has. So a client works until the day that a server restarts under it.
# Why one would guess otherwise: Microsoft's pages on client certificates and on the client factory show just these transports (HttpClientHandler, and HttpClient around it), so
# TLS as documented takes the waiting away. The table on the page on configuration says that a channel has an HttpClientHandler if none is given. HttpClientHandler is
# SocketsHttpHandler within. The channel knows: State and client-side load balancing throw an InvalidOperationException that names the reason. The option, which needs the
# same, is passed over. Retries by a policy of the service config were seen to work with HttpClientHandler.
# The documentation of IsWaitForReady, HttpHandler and HttpClient in the packages, Microsoft's pages on gRPC (the versions that could be found) and gRPC's proposal L96
# name no such condition. The packages mark WithWaitForReady as experimental.
#
# Right result: the call waits, or throws as State does. Until then: HttpHandler with a SocketsHttpHandler and certificates in its SslOptions, or a retry policy.
#
# Seen (the server starts 2 s after the call, the deadline is 30 s; a later call is answered in each row):
#   the channel's transport                               the call with WithWaitForReady     warnings    State
#   none given                                            waits, answer                      0           Ready
#   SocketsHttpHandler                                    waits, answer                      0           Ready
#   a handler of one's own around SocketsHttpHandler      waits, answer                      0           Ready
#   HttpClientHandler                                     Unavailable before the start       0           InvalidOperationException
#   a handler of one's own around HttpClientHandler       Unavailable before the start       0           InvalidOperationException
#   SocketsHttpHandler with ConnectCallback               Unavailable before the start       0           InvalidOperationException
#   HttpClient around SocketsHttpHandler                  Unavailable before the start       0           InvalidOperationException
#   AddGrpcClient                                         waits, answer                      0
#   AddGrpcClient with HttpClientHandler                  Unavailable before the start       0
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
    <Nullable>enable</Nullable>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseAppHost>false</UseAppHost>
    <UseSharedCompilation>false</UseSharedCompilation>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Grpc.AspNetCore" Version="[2.85.0]" />
    <Protobuf Include="place.proto" />
  </ItemGroup>
</Project>
XML
cat > place.proto <<'PROTO'
syntax = "proto3";

package places;

service Worker {
  rpc Work(Order) returns (Done);
}

message Order {
}

message Done {
  string by = 1;
}
PROTO
cat > Program.cs <<'CS'
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Places;

// Each way to give a channel its transport. A call is made while its server does not listen yet, with a deadline of 30 s. The server starts 2 s later.
await Try("no transport given", _ => { });
await Try("HttpHandler: SocketsHttpHandler", options => options.HttpHandler = new SocketsHttpHandler());
await Try("HttpHandler: own handler around SocketsHttpHandler", options => options.HttpHandler = new Own { InnerHandler = new SocketsHttpHandler() });
await Try("HttpHandler: HttpClientHandler", options => options.HttpHandler = new HttpClientHandler());
await Try("HttpHandler: own handler around HttpClientHandler", options => options.HttpHandler = new Own { InnerHandler = new HttpClientHandler() });
await Try("HttpHandler: SocketsHttpHandler with ConnectCallback", options => options.HttpHandler = new SocketsHttpHandler { ConnectCallback = Connect });
await Try("HttpClient: around SocketsHttpHandler", options => options.HttpClient = new HttpClient(new SocketsHttpHandler()));
await Try("AddGrpcClient", null);
await Try("AddGrpcClient with HttpClientHandler", null, client => client.ConfigurePrimaryHttpMessageHandler(() => new HttpClientHandler()));

static async Task Try(string name, Action<GrpcChannelOptions>? configure, Action<IHttpClientBuilder>? configureClient = null)
{
    // A socket that is bound and does not listen keeps the port for the server, and refuses whoever connects.
    using var place = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    place.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    var port = ((IPEndPoint)place.LocalEndPoint!).Port;
    var address = new Uri($"http://127.0.0.1:{port}");

    var log = new Memory();
    GrpcChannel? channel = null;
    Worker.WorkerClient worker;
    var services = new ServiceCollection().AddLogging(logging => logging.AddProvider(log).AddFilter(level => level >= LogLevel.Warning));
    if (configure is not null)
    {
        var options = new GrpcChannelOptions { LoggerFactory = new DefaultServiceProviderFactory().CreateServiceProvider(services).GetRequiredService<ILoggerFactory>() };
        configure(options);
        channel = GrpcChannel.ForAddress(address, options);
        worker = new Worker.WorkerClient(channel);
    }
    else
    {
        var client = services.AddGrpcClient<Worker.WorkerClient>(options => options.Address = address);
        configureClient?.Invoke(client);
        worker = new DefaultServiceProviderFactory().CreateServiceProvider(services).GetRequiredService<Worker.WorkerClient>();
    }

    var call = worker.WorkAsync(new Order(), new CallOptions(deadline: DateTime.UtcNow.AddSeconds(30)).WithWaitForReady()).ResponseAsync;
    await Task.WhenAny(call, Task.Delay(2000));
    var waited = call.IsCompleted ? "does not wait" : "waits";
    place.Dispose();
    await using var server = Server(port);
    await server.StartAsync();
    string result;
    try
    {
        result = "answer of " + (await call).By;
    }
    catch (RpcException error)
    {
        result = error.StatusCode.ToString();
    }
    var later = (await worker.WorkAsync(new Order())).By;
    var state = "";
    try
    {
        if (channel is not null)
            state = $"; State: {channel.State}";
    }
    catch (InvalidOperationException error)
    {
        state = $"; State: {error.GetType().Name}";
    }
    Console.WriteLine($"{name}: {waited}, {result}; a later call: answer of {later}; warnings: {log.Lines}{state}");
    channel?.Dispose();
}

static async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancellation)
{
    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    await socket.ConnectAsync(context.DnsEndPoint, cancellation);
    return new NetworkStream(socket, ownsSocket: true);
}

static WebApplication Server(int port)
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.ClearProviders();
    builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2));
    builder.Services.AddGrpc();
    var app = builder.Build();
    app.MapGrpcService<WorkerService>();
    return app;
}

sealed class Own : DelegatingHandler;

public sealed class WorkerService : Worker.WorkerBase
{
    public override Task<Done> Work(Order order, ServerCallContext context) => Task.FromResult(new Done { By = "worker" });
}

// Counts what is logged.
sealed class Memory : ILoggerProvider, ILogger
{
    int _lines;
    public int Lines => _lines;
    public ILogger CreateLogger(string category) => this;
    public IDisposable? BeginScope<T>(T state) where T : notnull => null;
    public bool IsEnabled(LogLevel level) => true;
    public void Log<T>(LogLevel level, EventId id, T state, Exception? error, Func<T, Exception?, string> text) => Interlocked.Increment(ref _lines);
    public void Dispose() { }
}
CS

dotnet build app.csproj -c Release -m:1 -nodeReuse:false -v:q -o out > build.log || { cat build.log; exit 1; }
seen=$(timeout 120 dotnet out/app.dll)
echo "$seen"
[ "$seen" = "no transport given: waits, answer of worker; a later call: answer of worker; warnings: 0; State: Ready
HttpHandler: SocketsHttpHandler: waits, answer of worker; a later call: answer of worker; warnings: 0; State: Ready
HttpHandler: own handler around SocketsHttpHandler: waits, answer of worker; a later call: answer of worker; warnings: 0; State: Ready
HttpHandler: HttpClientHandler: does not wait, Unavailable; a later call: answer of worker; warnings: 0; State: InvalidOperationException
HttpHandler: own handler around HttpClientHandler: does not wait, Unavailable; a later call: answer of worker; warnings: 0; State: InvalidOperationException
HttpHandler: SocketsHttpHandler with ConnectCallback: does not wait, Unavailable; a later call: answer of worker; warnings: 0; State: InvalidOperationException
HttpClient: around SocketsHttpHandler: does not wait, Unavailable; a later call: answer of worker; warnings: 0; State: InvalidOperationException
AddGrpcClient: waits, answer of worker; a later call: answer of worker; warnings: 0
AddGrpcClient with HttpClientHandler: does not wait, Unavailable; a later call: answer of worker; warnings: 0" ] || { echo "the behaviour has changed"; exit 1; }
echo "the transport still decides whether a call waits"
