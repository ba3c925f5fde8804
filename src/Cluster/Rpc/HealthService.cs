using Grpc.Core;
using LlamaCluster.Protos.Health;
using static LlamaCluster.Protos.Health.HealthCheckResponse.Types;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// The standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): "" is alive as soon as it answers,
/// "llamacluster.ready" follows <see cref="Readiness"/>.
/// </summary>
public sealed class HealthService(Readiness readiness) : Health.HealthBase
{
    public const string Process = "";
    public const string Ready = "llamacluster.ready";

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) => request.Service switch
    {
        Process => Task.FromResult(Response(ServingStatus.Serving)),
        Ready => Task.FromResult(Response(StatusOf(readiness.IsReady))),
        _ => throw new RpcException(new Status(StatusCode.NotFound, $"no service of this name here; there are \"{Process}\" and \"{Ready}\"")),
    };

    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responses, ServerCallContext context)
    {
        ServingStatus? told = null;
        await foreach (var ready in readiness.WatchAsync(context.CancellationToken))
        {
            var status = request.Service switch
            {
                Process => ServingStatus.Serving,
                Ready => StatusOf(ready),
                _ => ServingStatus.ServiceUnknown,
            };
            if (status == told) continue;
            await responses.WriteAsync(Response(status), context.CancellationToken);
            told = status;
        }
    }

    static ServingStatus StatusOf(bool ready) => ready ? ServingStatus.Serving : ServingStatus.NotServing;

    static HealthCheckResponse Response(ServingStatus status) => new() { Status = status };
}
