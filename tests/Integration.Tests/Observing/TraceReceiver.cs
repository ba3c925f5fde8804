using System.Collections.Concurrent;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Integration.Tests.Observing.Otlp;
using LlamaCluster.Integration.Tests.Up;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>A span that was received.</summary>
/// <param name="Process">The process that recorded it: its service.name and service.instance.id.</param>
sealed record ReceivedSpan(
    string Process, string Id, string Parent, string Name, DateTime Begun, DateTime Ended, IReadOnlyDictionary<string, string> Attributes)
{
    public double Milliseconds => (Ended - Begun).TotalMilliseconds;
}

/// <summary>Receives traces by OTLP over gRPC, as a collector does.</summary>
sealed class TraceReceiver : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    readonly WebApplication _app;

    TraceReceiver(WebApplication app) => _app = app;

    public string Address => _app.Urls.Single();

    public static async Task<TraceReceiver> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddRouting().AddSingleton<Received>().AddGrpc();
        var app = builder.Build();
        app.MapGrpcService<Service>();
        await app.StartAsync();
        return new TraceReceiver(app);
    }

    /// <summary>The spans of a trace, once the condition holds for them.</summary>
    public async Task<IReadOnlyList<ReceivedSpan>> WaitAsync(string traceId, Func<IReadOnlyList<ReceivedSpan>, bool> condition)
    {
        var received = _app.Services.GetRequiredService<Received>();
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        using var timer = new PeriodicTimer(Interval);
        IReadOnlyList<ReceivedSpan> spans = [];
        try
        {
            while (!condition(spans = [.. received.Spans.Where(span => span.TraceId == traceId).Select(span => span.Span)]))
                await timer.WaitForNextTickAsync(deadline.Token);
            return spans;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"within {CliProcess.Deadline} only these came:\n{string.Join('\n', spans)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    sealed class Received
    {
        public ConcurrentQueue<(string TraceId, ReceivedSpan Span)> Spans { get; } = [];
    }

    sealed class Service(Received received) : TraceService.TraceServiceBase
    {
        public override Task<ExportTraceServiceResponse> Export(ExportTraceServiceRequest request, ServerCallContext context)
        {
            foreach (var process in request.ResourceSpans)
            {
                var resource = process.Resource.Attributes.ToDictionary(attribute => attribute.Key, attribute => Text(attribute.Value));
                var name = $"{resource["service.name"]} {resource["service.instance.id"]}";
                foreach (var span in process.ScopeSpans.SelectMany(scope => scope.Spans))
                    received.Spans.Enqueue((Hex(span.TraceId), new ReceivedSpan(
                        name, Hex(span.SpanId), Hex(span.ParentSpanId), span.Name, Time(span.StartTimeUnixNano), Time(span.EndTimeUnixNano),
                        span.Attributes.ToDictionary(attribute => attribute.Key, attribute => Text(attribute.Value)))));
            }
            return Task.FromResult(new ExportTraceServiceResponse());
        }

        static string Hex(ByteString bytes) => Convert.ToHexStringLower(bytes.Span);

        static DateTime Time(ulong nanoseconds) => DateTime.UnixEpoch.AddTicks((long)(nanoseconds / 100));

        static string Text(AnyValue value) => value.ValueCase switch
        {
            AnyValue.ValueOneofCase.StringValue => value.StringValue,
            AnyValue.ValueOneofCase.IntValue => $"{value.IntValue}",
            AnyValue.ValueOneofCase.ArrayValue => string.Join(',', value.ArrayValue.Values.Select(Text)),
            _ => value.ToString(),
        };
    }
}
