using System.Net.Sockets;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>A probe of a container, carried out as the kubelet does: https://kubernetes.io/docs/concepts/workloads/pods/probes.</summary>
sealed class Probe(JsonNode probe, JsonNode container, string address)
{
    static readonly HttpClient Http = new() { Timeout = System.Threading.Timeout.InfiniteTimeSpan };

    /// <summary>How often it is asked.</summary>
    public TimeSpan Period { get; } = TimeSpan.FromSeconds(Number(probe, "periodSeconds", 10));

    /// <summary>So many failures one after another count as one.</summary>
    public int FailureThreshold { get; } = Number(probe, "failureThreshold", 3);

    TimeSpan Timeout { get; } = TimeSpan.FromSeconds(Number(probe, "timeoutSeconds", 1));

    public async Task<bool> SucceedsAsync()
    {
        using var deadline = new CancellationTokenSource(Timeout);
        try
        {
            if (probe["httpGet"] is { } get)
            {
                using var answer = await Http.GetAsync($"http://{address}:{Port(get)}{get["path"]}", deadline.Token);
                return (int)answer.StatusCode is >= 200 and < 400;
            }
            if (probe["grpc"] is { } call) return await IsServingAsync(call, deadline.Token);
            using var socket = new TcpClient();
            await socket.ConnectAsync(address, Port(probe["tcpSocket"]!), deadline.Token);
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or RpcException or SocketException)
        {
            return false;
        }
    }

    async Task<bool> IsServingAsync(JsonNode call, CancellationToken cancellation)
    {
        using var channel = GrpcChannel.ForAddress($"http://{address}:{Port(call)}");
        var request = new HealthCheckRequest { Service = (string?)call["service"] ?? "" };
        var reply = await new Health.HealthClient(channel).CheckAsync(request, cancellationToken: cancellation);
        return reply.Status == HealthCheckResponse.Types.ServingStatus.Serving;
    }

    /// <summary>A number, or the name of one of the container's ports.</summary>
    int Port(JsonNode action) => action["port"]!.GetValueKind() == System.Text.Json.JsonValueKind.Number
        ? (int)action["port"]!
        : (int)container["ports"]!.AsArray().Single(port => (string)port!["name"]! == (string)action["port"]!)!["containerPort"]!;

    static int Number(JsonNode probe, string name, int otherwise) => (int?)probe[name] ?? otherwise;
}
