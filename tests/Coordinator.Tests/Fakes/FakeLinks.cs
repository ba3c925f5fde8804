using Grpc.Core;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Fakes;

sealed class FakeLinks(FakeWorker worker) : Links.LinksBase
{
    public override Task<MeasureLinkReply> Measure(MeasureLinkRequest request, ServerCallContext context) =>
        worker.OnMeasure(request, context.CancellationToken);
}
