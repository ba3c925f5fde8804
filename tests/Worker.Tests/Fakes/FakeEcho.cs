using Grpc.Core;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>A worker that answers those who measure their way to it as a test wants it.</summary>
sealed class FakeEcho : Wire.Links.LinksBase
{
    /// <summary>Sees each probe's number, from 0, and what it may answer on. False: the stream ends.</summary>
    public required Func<int, IServerStreamWriter<Wire.LinkProbe>, CancellationToken, Task<bool>> OnProbe { get; init; }

    /// <summary>Bytes of each probe's payload.</summary>
    public List<int> Sizes { get; } = [];

    public override async Task Echo(IAsyncStreamReader<Wire.LinkProbe> probes, IServerStreamWriter<Wire.LinkProbe> answers, ServerCallContext context)
    {
        while (await probes.MoveNext(context.CancellationToken))
        {
            Sizes.Add(probes.Current.Payload.Length);
            if (!await OnProbe(Sizes.Count - 1, answers, context.CancellationToken)) return;
        }
    }
}
